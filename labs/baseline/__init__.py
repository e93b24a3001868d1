"""What most guides describe, to compare with: Debian's nginx with `proxy_pass`, gunicorn on TCP or `docker run`."""

from pathlib import Path

SITE = Path(__file__).with_name("site.conf").read_text()
"""A site of nginx: listens on 8080, proxies to port 8000."""
