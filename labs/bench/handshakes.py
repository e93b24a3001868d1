"""Measure what clients that begin TLS handshakes take from one that does not (see abuse.py), by the site's key."""

from typing import Any

from labs.bench import abuse
from labs.host import Host

VARIABLES = abuse.VARIABLES | {"nginx_tls": "files"}
KEYS = {"P-256": "ec -pkeyopt ec_paramgen_curve:P-256", "RSA 4096": "rsa:4096"}
CONNECTIONS = 500
"""That begin a handshake at a time."""
CERTIFICATE = """
    command -v openssl >/dev/null || apt-get install -qq -y --no-install-recommends openssl >/dev/null
    mkdir -p /etc/nginx/tls
    cd /etc/nginx/tls
    openssl req -x509 -newkey {key} -noenc -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \\
        -keyout key.pem -out certificate.pem 2>/dev/null
    chmod 0644 key.pem
"""


def measure(host: Host, image: str) -> dict[str, Any]:
    """Serve by HTTPS with each key, and measure. Returns samples by key and number of addresses."""
    figures: dict[str, Any] = {}
    for name, key in KEYS.items():
        host.shell(CERTIFICATE.format(key=key))
        if not figures:
            host.play("site.yml", release_image=image, **VARIABLES)
        host.shell("systemctl reload nginx; sleep 1")
        with abuse.clients(host):
            figures[f"nobody, {name}"] = {"one": abuse.sample(host, "idle", "one", 0, port=443)}
            figures[f"handshakes, {name}"] = {
                spread: abuse.sample(host, "handshakes", spread, CONNECTIONS, port=443) for spread in abuse.SPREADS
            }
    return figures
