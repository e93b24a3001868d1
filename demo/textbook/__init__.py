"""What most do: `docker rm -f`, `docker run` behind nginx; see deploy.py."""
