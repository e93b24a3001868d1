"""Measure what an image that listens on a port serves, beside the same image that takes the handed socket.

Both releases run at the same time on one host, and nginx passes requests on to each: over kept connections, and over
one for each request. The set-ups take turns.
"""

import statistics
from collections.abc import Iterable
from itertools import product
from typing import Any

from labs.bench import wrk
from labs.bench.serving import CONNECTIONS, PATH, WARM_UP_SECONDS, WORKERS
from labs.host import Host

WAYS = ("socket", "port")
CONNECTING = ("kept", "each")
"""How nginx connects to the release: it keeps connections, as for GET, or opens one for each request, as for POST."""
PORTS = {setup: 8081 + number for number, setup in enumerate(product(WAYS, CONNECTING))}
SERVER = "exec uvicorn app.main:app --no-access-log --workers {workers} {listen}"
LISTEN = {"socket": "--fd 3", "port": "--host 0.0.0.0 --port $PORT"}


def measure(host: Host, image: str, rounds: int, seconds: int) -> dict[str, Any]:
    """Deploy both and measure each in each round. Medians; ratios, port to socket, are taken within a round."""
    releases = {way: _deploy(host, way, image) for way in WAYS}
    _install(host, releases)

    def sample(setup: tuple[str, str], seconds: int) -> dict[str, float]:
        release = releases[setup[0]]
        units = f"bench-nginx.service app@{release}.service proxy@{release}.service"
        return wrk.measure(host, "-".join(setup), f"http://localhost:{PORTS[setup]}{PATH}", units, CONNECTIONS, seconds)

    try:
        for setup in PORTS:
            sample(setup, min(WARM_UP_SECONDS, seconds))
        with host.foreign_cpus() as foreign:
            samples = [{setup: sample(setup, seconds) for setup in PORTS} for _ in range(rounds)]
    finally:
        clean_up(host, releases["socket"])
    return {
        "foreign_cpus": foreign[0],
        "ratios": {
            connecting: _median(
                each["port", connecting]["rate"] / each["socket", connecting]["rate"] for each in samples
            )
            for connecting in CONNECTING
        },
        **{
            key: {"-".join(setup): _median(each[setup][key] for each in samples) for setup in PORTS}
            for key in ("rate", "p99_ms", "cpu_us")
        },
    }


def clean_up(host: Host, release: str = "*") -> None:
    """Stop the second nginx, and the release that is not live."""
    host.shell(
        f"systemctl stop bench-nginx 2>/dev/null || :; rm -rf /run/bench-nginx; [ '{release}' = '*' ] || "
        f"systemctl stop app@{release}.service app@{release}.socket"
    )


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


def _deploy(host: Host, way: str, image: str) -> str:
    command = SERVER.format(workers=WORKERS, listen=LISTEN[way])
    host.play("deploy.yml", release_image=image, app_command=command)
    return str(host.status()["live"])


def _install(host: Host, releases: dict[str, str]) -> None:
    """Install wrk and a second nginx, and start the release that was live before again."""
    wrk.install(host)
    servers = "".join(
        f"upstream {way}-{connecting} {{ server unix:/run/app/{releases[way]}.sock;"
        f"{' keepalive 64;' if connecting == 'kept' else ''} }}\n"
        f"server {{ listen 127.0.0.1:{PORTS[way, connecting]}; location / {{ proxy_pass http://{way}-{connecting};\n"
        "proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host localhost; } }\n"
        for way, connecting in PORTS
    )
    host.shell(f"""
        systemctl start app@{releases["socket"]}.socket app@{releases["socket"]}.service
        mkdir -p /run/bench-nginx
        cat >/run/bench-nginx/nginx.conf <<'END'
user www-data;
worker_processes auto;
pid /run/bench-nginx/pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{ access_log off;
{servers}}}
END
        systemd-run --quiet --unit=bench-nginx --property=LimitNOFILE=65536 \
            /usr/sbin/nginx -c /run/bench-nginx/nginx.conf -g 'daemon off;'
    """)
    for port in PORTS.values():
        wrk.wait(host, f"http://localhost:{port}{PATH}")
