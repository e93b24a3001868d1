"""Exporters listen where they are told, and nowhere else."""

import pytest

from slipway.units.firewall import rules
from slipway.units.metrics import PORTS, drop_ins, opened, refusals, settings


@pytest.mark.parametrize(
    ("address", "scrapers", "expected"),
    [
        ("127.0.0.1", [], ""),
        ("::1", [], ""),
        ("10.0.0.5", ["10.0.0.9", "fd00::/8"], ""),
        ("www", [], "metrics_address is 'www', and must be an address"),
        (None, [], "metrics_address is None, and must be an address"),
        ("0.0.0.0", ["10.0.0.9"], "which is every address"),
        ("::", ["10.0.0.9"], "which is every address"),
        ("127.0.0.1", ["10.0.0.9"], "Set metrics_address"),
        ("10.0.0.5", [], "name who may connect"),
        ("10.0.0.5", "10.0.0.9", "from is a list"),
        ("10.0.0.5", ["prometheus"], "'prometheus' is no address"),
    ],
)
def test_nobody_else_is_let_in(address: str, scrapers: list[str], expected: str) -> None:
    found = " ".join(refusals(address, scrapers))
    assert expected in found
    assert bool(expected) == bool(found)


def test_the_firewall_opens_each_port_for_scrapers_only() -> None:
    assert opened([]) == []
    assert rules(opened(["10.0.0.9"])) == [
        f"ip saddr {{ 10.0.0.9 }} tcp dport {port} accept" for port in PORTS.values()
    ]


def test_each_exporter_listens_on_the_address() -> None:
    for address, shown in (("127.0.0.1", "127.0.0.1"), ("fd00::5", "[fd00::5]")):
        found = settings(address, [], http_port=8080, postgresql=True, broker="")
        assert found.keys() == PORTS.keys()
        for name, port in PORTS.items():
            where = f"--address={address} --port={port}" if name == "mtail" else f"--web.listen-address={shown}:{port}"
            assert f"ExecStart=\nExecStart=/usr/bin/{name} {where}" in found[name]
            assert "IPAddressDeny=any\nIPAddressAllow=localhost\n" in found[name]
    assert "http://127.0.0.1:8080/" in found["prometheus-nginx-exporter"]


def test_a_data_host_of_its_own_has_no_nginx_and_asks_its_broker_over_tls() -> None:
    found = settings("10.0.0.5", ["10.0.0.9"], http_port=None, postgresql=True, broker="10.0.0.6")
    assert not {name for name in found if "nginx" in name or name == "mtail"}
    assert "textfile" not in found["prometheus-node-exporter"]
    redis = found["prometheus-redis-exporter"]
    assert "REDIS_ADDR=rediss://10.0.0.6:6379" in redis
    assert "IPAddressAllow=10.0.0.6\n" in redis
    assert "IPAddressAllow=localhost 10.0.0.9\n" in redis
    assert "SupplementaryGroups" not in redis


def test_an_app_host_alone_has_neither_postgresql_nor_a_broker() -> None:
    found = settings("127.0.0.1", [], http_port=80, postgresql=False, broker=None)
    assert found.keys() == {"prometheus-node-exporter", "prometheus-nginx-exporter", "mtail"}


def test_the_sandbox_is_there_before_the_settings() -> None:
    files = drop_ins({"mtail": "settings"}, "sandbox")
    assert [files[path] for path in sorted(files)] == ["sandbox", "settings"]
