"""Requests per second and latency of three set-ups of the same app, on the same machine, in turns.

- `ours`: the release as it was deployed: nginx, a unix socket that is kept alive, systemd's sandbox.
- `textbook`: what most guides say: the distribution's nginx.conf, `proxy_pass http://127.0.0.1:8000;`, gunicorn on TCP.
- `direct`: that gunicorn without nginx.

All have the same number of workers of the same class. Both nginx write an access log; no gunicorn does.
"""

import statistics
from pathlib import Path
from typing import Any

from bench.host import WORKERS, Host
from bench.load import load, memory

PORTS = {"ours": 80, "textbook": 8080, "direct": 8000}
UNITS = {
    "ours": "nginx.service app@*.service",
    "textbook": "textbook-nginx.service textbook-gunicorn.service",
    "direct": "textbook-gunicorn.service",
}
CONNECTIONS = 32
PATH = "/version"
"""A route that asks no database: what is compared is the way to the app."""

SITE = (Path(__file__).parent / "textbook.conf").read_text()


def measure(host: Host, rounds: int, seconds: int) -> dict[str, Any]:
    """Measure each set-up in each round. Every figure is the median of the rounds, ratios are made round by round."""
    _prepare(host)

    def ask(name: str, seconds: int) -> dict[str, float]:
        return load(host, name, f"http://localhost:{PORTS[name]}{PATH}", UNITS[name], CONNECTIONS, seconds)

    for name in PORTS:
        ask(name, 2)  # to warm up
    results = [{name: ask(name, seconds) for name in PORTS} for _ in range(rounds)]

    def median(name: str, key: str) -> float:
        return statistics.median(entry[name][key] for entry in results)

    def ratio(name: str, other: str) -> float:
        return statistics.median(entry[name]["rate"] / entry[other]["rate"] for entry in results)

    return {
        "rates": {name: median(name, "rate") for name in PORTS},
        # What a request costs, whatever else the machine is doing meanwhile.
        "cpu_us": {name: median(name, "cpu_us") for name in PORTS},
        "p99_ms": {name: median(name, "p99_ms") for name in PORTS},
        "ours_to_textbook": ratio("ours", "textbook"),
        "ours_to_direct": ratio("ours", "direct"),
        "memory_mb": {"ours": memory(host, "app@*.service"), "textbook": memory(host, "textbook-gunicorn.service")},
        "workers": WORKERS,
    }


def _prepare(host: Host) -> None:
    """Install the load generator, and the textbook's set-up beside ours."""
    tree = f"/srv/app/releases/{host.status()['live']}"
    host.shell(f"""
        apt-get install -qq -y --no-install-recommends wrk >/dev/null
        mkdir -p /opt/textbook/log && cd /opt/textbook
        apt-get download -qq nginx-common >/dev/null
        dpkg-deb --extract nginx-common_*.deb .
        rm -f etc/nginx/sites-enabled/*
        cat > etc/nginx/sites-enabled/app <<'END'\n{SITE}\nEND
        systemd-run --quiet --unit=textbook-gunicorn --property=User=app --property=StateDirectory=textbook \
            --property=RootDirectory={tree} --property=MountAPIVFS=yes --property=PrivateTmp=yes \
            --property=WorkingDirectory=/app --property=Environment=WEB_CONCURRENCY={WORKERS} \
            /opt/venv/bin/python -m gunicorn --workers {WORKERS} --worker-class server.worker.Worker \
            --bind 127.0.0.1:8000 app.main:app
        systemd-run --quiet --unit=textbook-nginx --property=BindReadOnlyPaths=/opt/textbook/etc/nginx:/etc/nginx \
            --property=BindPaths=/opt/textbook/log:/var/log/nginx --property=LimitNOFILE=65536 \
            /usr/sbin/nginx -g 'daemon off;'
        for port in {" ".join(str(port) for port in PORTS.values())}; do
            for try in $(seq 100); do
                wrk -t 1 -c 1 -d 1 http://localhost:$port{PATH} | grep -q Requests/sec && break || sleep 0.3
            done
        done
    """)
