"""What runs on a laptop or in CI: images, settings, GitHub."""
