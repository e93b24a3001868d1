"""The exporters of metrics: where each listens, who may reach it, and the settings of its unit."""

import ipaddress
from collections.abc import Sequence
from typing import Any

from slipway.model.address import in_url
from slipway.units.firewall import problem

PORTS = {
    "prometheus-node-exporter": 9100,
    "prometheus-nginx-exporter": 9113,
    "prometheus-redis-exporter": 9121,
    "prometheus-postgres-exporter": 9187,
    "mtail": 3903,
}
"""The exporters, by the names of Debian's packages and services, with their default ports."""
BROKER_SOCKET = "/run/broker/broker.sock"
BROKER_ENVIRONMENT = "/etc/slipway/metrics-broker.env"
LOG_PROGRAM = "/etc/slipway/access-log.mtail"


def refusals(address: Any, scrapers: Any) -> list[str]:
    """Say what is wrong with metrics_address and metrics_scrapers."""
    try:
        here = ipaddress.ip_address(address)
    except ValueError:
        return [f"metrics_address is {address!r}, and must be an address of the host. For example 10.0.0.5"]
    if here.is_unspecified:
        return [f"metrics_address is {address}, which is every address. Name one of the host's. For example 10.0.0.5"]
    if here.is_loopback:
        text = (
            f"metrics_scrapers is {scrapers}, but nobody reaches {address}. Set metrics_address. For example 10.0.0.5"
        )
        return [text] if scrapers else []
    if not scrapers:
        return [f"metrics_address is {address}: name who may connect. For example metrics_scrapers: [10.0.0.9]"]
    wrong = problem({"port": PORTS["prometheus-node-exporter"], "from": scrapers})
    return [f"metrics_scrapers: {wrong}"] if wrong else []


def opened(scrapers: Sequence[str]) -> list[dict[str, Any]]:
    """Return what the firewall opens, in the form of hardening_firewall_open."""
    return [{"port": port, "from": list(scrapers)} for port in PORTS.values()] if scrapers else []


def settings(
    address: str, scrapers: Sequence[str], *, http_port: int | None, postgresql: bool, broker: str | None
) -> dict[str, str]:
    """Return the drop-in of each exporter that a host needs.

    Args:
        address: that the exporters listen on.
        scrapers: addresses and networks of Prometheus.
        http_port: nginx's; None: the host has no nginx.
        postgresql: whether the host has PostgreSQL.
        broker: the address that the broker listens on, empty: its socket; None: the host has no broker.
    """
    commands = {"prometheus-node-exporter": ""}
    extra: dict[str, list[str]] = {}
    if http_port is not None:
        # Where metrics.service writes: a data host of its own has no engine.
        commands["prometheus-node-exporter"] = "--collector.textfile.directory=/var/lib/slipway-metrics"
        commands["prometheus-nginx-exporter"] = f"--nginx.scrape-uri=http://127.0.0.1:{http_port}/.slipway/stub_status"
        commands["mtail"] = f"--logtostderr --progs={LOG_PROGRAM} --logs=/var/log/nginx/access.log"
        extra["mtail"] = ["ExecCondition=", "SupplementaryGroups=adm"]
    if postgresql:
        commands["prometheus-postgres-exporter"] = ""
        source = "user=prometheus host=/run/postgresql dbname=postgres"
        extra["prometheus-postgres-exporter"] = [f'Environment="DATA_SOURCE_NAME={source}"']
    if broker is not None:
        commands["prometheus-redis-exporter"] = ""
        extra["prometheus-redis-exporter"] = _broker(broker)
    return {name: _drop_in(name, command, extra.get(name, []), address, scrapers) for name, command in commands.items()}


def drop_ins(settings: dict[str, str], sandbox: str) -> dict[str, str]:
    """Return the files of the exporters' drop-ins, by their path below the folder of units."""
    files = {}
    for name, text in settings.items():
        files[f"{name}.service.d/10-slipway-sandbox.conf"] = sandbox
        files[f"{name}.service.d/30-slipway-exporter.conf"] = text
    return files


def _broker(address: str) -> list[str]:
    if not address:
        # The socket is for the app's group; its files are not for this.
        return [
            "SupplementaryGroups=app",
            "InaccessiblePaths=-/srv/app -/run/app -/var/lib/app -/var/lib/app-writable",
            f"Environment=REDIS_ADDR=unix://{BROKER_SOCKET}",
        ]
    return [
        f"Environment=REDIS_ADDR=rediss://{in_url(address)}:6379 REDIS_USER=app",
        f"EnvironmentFile={BROKER_ENVIRONMENT}",
        f"IPAddressAllow={address}",
    ]


def _drop_in(name: str, options: str, extra: Sequence[str], address: str, scrapers: Sequence[str]) -> str:
    port = PORTS[name]
    listen = (
        f"--address={address} --port={port}" if name == "mtail" else f"--web.listen-address={in_url(address)}:{port}"
    )
    online = "\n[Unit]\nWants=network-online.target\nAfter=network-online.target\n" if scrapers else ""
    lines = [
        "ExecStart=",
        f"ExecStart=/usr/bin/{name} {listen} {options}".rstrip(),
        *extra,
        "IPAddressDeny=any",
        " ".join(["IPAddressAllow=localhost", *scrapers]),
    ]
    return f"# Managed by Slipway: metrics_*.{online}\n[Service]\n" + "".join(f"{line}\n" for line in lines)
