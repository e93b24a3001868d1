"""How the image's web process is run: worker count, logs, preload checks. Knows nothing of the app it serves."""
