"""Measure requests per second and latency of three set-ups of the same app, on the same machine, in turns.

- `slipway`: the release as it was deployed: nginx, a kept-alive unix socket, systemd's sandbox.
- `baseline`: what most guides say: Debian's nginx.conf, `proxy_pass http://127.0.0.1:8000;`, gunicorn on TCP.
- `direct`: that gunicorn without nginx.

All have the same number of workers of the same class. Both nginx write an access log; no gunicorn does.
"""

import statistics
from typing import Any

from labs.baseline import SITE
from labs.bench import wrk
from labs.host import Host

WORKERS = 4
"""Of each set-up: what gunicorn's documentation suggests for two cores."""
PORTS = {"slipway": 80, "baseline": 8080, "direct": 8000}
UNITS = {
    "slipway": "nginx.service app@*.service",
    "baseline": "baseline-nginx.service baseline-gunicorn.service",
    "direct": "baseline-gunicorn.service",
}
CONNECTIONS = 32
WARM_UP_SECONDS = 2
PATH = "/version"
"""A route without the database: the figures compare the ways to the app."""


def measure(host: Host, rounds: int, seconds: int) -> dict[str, Any]:
    """Measure each set-up in each round. Figures are medians of the rounds; ratios are taken within a round."""
    _install_baseline(host)

    def sample(name: str, seconds: int) -> dict[str, float]:
        url = f"http://localhost:{PORTS[name]}{PATH}"
        return wrk.measure(host, name, url, UNITS[name], CONNECTIONS, seconds)

    for name in PORTS:
        sample(name, min(WARM_UP_SECONDS, seconds))
    samples = [{name: sample(name, seconds) for name in PORTS} for _ in range(rounds)]

    def medians(key: str) -> dict[str, float]:
        return {name: statistics.median(entry[name][key] for entry in samples) for name in PORTS}

    def ratio(name: str, other: str) -> float:
        return statistics.median(entry[name]["rate"] / entry[other]["rate"] for entry in samples)

    return {
        "rates": medians("rate"),
        "cpu_us": medians("cpu_us"),  # per request: hardly depends on other work of the machine
        "p99_ms": medians("p99_ms"),
        "slipway_to_baseline": ratio("slipway", "baseline"),
        "slipway_to_direct": ratio("slipway", "direct"),
        "memory_mb": {"slipway": host.memory_mb(), "baseline": host.memory_mb("baseline-gunicorn.service")},
        "workers": WORKERS,
    }


def clean_up(host: Host) -> None:
    """Stop the baseline and remove its files."""
    host.shell("systemctl stop baseline-nginx baseline-gunicorn 2>/dev/null || :; rm -rf /opt/baseline")


def _install_baseline(host: Host) -> None:
    """Install wrk, and the baseline beside the release."""
    wrk.install(host)
    tree = f"/srv/app/sealed/{host.status()['live']}"
    host.shell(f"""
        mkdir -p /opt/baseline/log && cd /opt/baseline
        apt-get download -qq nginx-common >/dev/null
        dpkg-deb --extract nginx-common_*.deb .
        rm -f etc/nginx/sites-enabled/*
        cat > etc/nginx/sites-enabled/app <<'END'\n{SITE}\nEND
        systemd-run --quiet --unit=baseline-gunicorn --property=User=app --property=StateDirectory=baseline \
            --property=RootDirectory={tree} --property=MountAPIVFS=yes --property=PrivateTmp=yes \
            --property=WorkingDirectory=/app --property=Environment=WEB_CONCURRENCY={WORKERS} \
            /opt/venv/bin/python -m gunicorn --workers {WORKERS} --worker-class server.worker.Worker \
            --bind 127.0.0.1:8000 app.main:app
        systemd-run --quiet --unit=baseline-nginx --property=BindReadOnlyPaths=/opt/baseline/etc/nginx:/etc/nginx \
            --property=BindPaths=/opt/baseline/log:/var/log/nginx --property=LimitNOFILE=65536 \
            /usr/sbin/nginx -g 'daemon off;'
    """)
    for port in PORTS.values():
        wrk.wait(host, f"http://localhost:{port}{PATH}")
