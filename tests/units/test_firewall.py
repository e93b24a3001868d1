"""The host's firewall: entries of hardening_firewall_open, other firewalls, and what would be closed."""

import json
import re
from typing import Any

import pytest

from slipway.units.firewall import closed, others, problem, rules


@pytest.mark.parametrize(
    ("entry", "lines"),
    [
        ({"port": 9100}, ["tcp dport 9100 accept"]),
        ({"port": "60000-61000", "protocol": "udp"}, ["udp dport 60000-61000 accept"]),
        (
            {"port": 9100, "from": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]},
            [
                "ip saddr { 10.0.0.0/8, 192.0.2.7 } tcp dport 9100 accept",
                "ip6 saddr { 2001:db8::/32 } tcp dport 9100 accept",
            ],
        ),
        ({"port": 5432, "to": "10.0.0.5"}, ["ip daddr 10.0.0.5 tcp dport 5432 accept"]),
        ({"port": 5432, "to": "fd00::5"}, ["ip6 daddr fd00::5 tcp dport 5432 accept"]),
    ],
)
def test_rules(entry: dict[str, Any], lines: list[str]) -> None:
    assert problem(entry) is None
    assert rules([entry]) == lines


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (9100, "Write {port: 9100}"),
        ({}, "names no port"),
        ({"port": 0}, "is no port"),
        ({"port": True}, "is no port"),
        ({"port": "61000-60000"}, "is no port"),
        ({"port": 70000}, "is no port"),
        ({"port": "ssh"}, "is no port"),
        ({"port": "22; flush ruleset"}, "is no port"),
        ({"port": 53, "protocol": "icmp"}, "Write tcp or udp"),
        ({"port": 53, "sources": ["10.0.0.0/8"]}, "sources is not known"),
        ({"port": 53, "from": "10.0.0.0/8"}, "Write from: [10.0.0.0/8]"),
        ({"port": 53, "from": []}, "nobody could connect"),
        ({"port": 53, "from": ["10.0.0.1/8"]}, "host bits set"),
        ({"port": 53, "from": ["office.example.com"]}, "Write it as 203.0.113.7"),
    ],
)
def test_wrong_entries(entry: Any, told: str) -> None:
    assert told in str(problem(entry))
    with pytest.raises(ValueError, match=re.escape(told)):
        rules([entry])


def chain(family: str, table: str, hook: str, policy: str) -> dict[str, Any]:
    return {
        "chain": {
            "family": family,
            "table": table,
            "name": "x",
            "hook": hook,
            "policy": policy,
        }
    }


def test_firewalls_of_others() -> None:
    listed = [
        {"metainfo": {"version": "1"}},
        {"chain": {"family": "ip", "table": "nat", "name": "DOCKER"}},
        chain("ip", "filter", "forward", "drop"),  # Docker's
        chain("ip", "mangle", "input", "accept"),
        chain("inet", "slipway", "input", "drop"),
        chain("inet", "slipway_firewall", "input", "drop"),
    ]
    assert others(json.dumps({"nftables": listed})) == []
    assert others("") == []
    ufw = [
        chain("ip", "filter", "input", "drop"),
        chain("ip6", "filter", "input", "drop"),
    ]
    firewalld = chain("inet", "firewalld", "input", "accept")  # it refuses by its last rule
    assert others(json.dumps({"nftables": [*listed, *ufw, firewalld]})) == [
        "firewalld",
        "ip filter",
        "ip6 filter",
    ]


LISTENING = """\
udp UNCONN 0 0 0.0.0.0%eth0:68 0.0.0.0:* users:(("client",pid=1,fd=2))
udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:* users:(("systemd-resolve",pid=1,fd=2))
udp UNCONN 0 0 [::]:51820 [::]:*
tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=3,fd=3))
tcp LISTEN 0 128 [::1]:6379 [::]:* users:(("valkey-server",pid=3,fd=3))
tcp LISTEN 0 128 *:9100 *:* users:(("node_exporter",pid=3,fd=3))
tcp LISTEN 0 128 10.0.0.5:3000 0.0.0.0:* users:(("grafana",pid=3,fd=3),("grafana",pid=4,fd=3))
tcp LISTEN 0 128 [::]:3000 [::]:* users:(("grafana",pid=3,fd=3))
tcp LISTEN 0 128 [fe80::1]%eth0:546 [::]:*
"""


def test_what_would_be_closed() -> None:
    told = ["tcp 3000 (grafana)", "tcp 9100 (node_exporter)", "udp 51820"]
    assert closed(LISTENING, [{"port": 80}], ssh=["22"]) == told
    assert closed(LISTENING, [{"port": "3000-9100"}, {"port": 51820}], ssh=["22"]) == ["udp 51820"]
    assert "tcp 22 (sshd)" in closed(LISTENING, [], ssh=[])
