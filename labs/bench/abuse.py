"""Measure what clients that abuse the site take from one that does not.

A network namespace on the host stands for the internet. The abuse is that of one machine, whose connections come from
one address, from ten or from a thousand. Beside it a client sends 20 requests a second, on a connection each.
"""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labs.command import progress
from labs.host import Host
from labs.percentile import percentile

VARIABLES = {"nginx_request_rate": 1000, "nginx_connections_per_address": 200}
"""The defaults, unlike in the other parts."""
CONNECTIONS = {
    "nobody": 0,
    "idle": 18_000,
    "slow_headers": 18_000,
    "slow_body": 18_000,
    "slow_reader": 2_000,
    "requests": 500,
    "connections": 500,
    "large_body": 60,
}
"""That are kept busy, by kind: more than nginx has in all (16,384 with two cores); a body's have 1.9 GB in all."""
SPREADS = {"one": "4:1", "ten": "6:10", "thousand": "6:1000"}
RATE = 20
CONNECTIONS_PER_SECOND = 2_000
"""That the abuse opens, while other work shares the machine."""
LEAD_SECONDS = 8
"""Before the client's requests: by then the abuse has used what the firewall lets it have at once."""
SECONDS = 5
"""Of the client's requests."""
FOLDER = "/opt/abuse"
NETWORK = """
    ip netns delete clients 2>/dev/null && sleep 1 || :
    ip netns add clients
    ip link add abuse0 type veth peer name eth0 netns clients
    echo 0 >/proc/sys/net/ipv6/conf/abuse0/disable_ipv6
    ip netns exec clients sh -c '
        for device in lo eth0; do echo 0 >/proc/sys/net/ipv6/conf/$device/disable_ipv6; done
        echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind
        echo "1024 65535" >/proc/sys/net/ipv4/ip_local_port_range'
    ip address add 192.0.2.1/24 dev abuse0
    ip -6 address add 2001:db8::1/64 dev abuse0 nodad
    ip link set abuse0 up
    printf '%s\\n' 'link set lo up' 'link set eth0 up' 'address add 192.0.2.2/24 dev eth0' \
        '-6 address add 2001:db8::2/64 dev eth0 nodad' 'route add local 198.18.0.0/15 dev lo' \
        '-6 route add local 2001:db8:1::/48 dev lo' | while read -r line; do ip -n clients $line; done
    ip route add 198.18.0.0/15 via 192.0.2.2
    ip -6 route add 2001:db8:1::/48 via 2001:db8::2
"""
TARGET = "192.0.2.1 2001:db8::1 localhost"


@contextmanager
def clients(host: Host) -> Iterator[None]:
    """Give the host a network of clients for the block."""
    program = Path(__file__).with_name("abuse_client.py").read_text()
    host.shell(f"mkdir -p {FOLDER}; cat >{FOLDER}/client.py <<'END'\n{program}\nEND\n{NETWORK}")
    try:
        yield
    finally:
        host.shell(f"ip netns delete clients; rm -rf {FOLDER}")


def measure(host: Host) -> dict[str, Any]:
    """Measure each kind from each number of clients. Returns samples by kind and number."""
    with clients(host):
        return {
            kind: {name: sample(host, kind, name, total) for name in SPREADS if total or name == "one"}
            for kind, total in CONNECTIONS.items()
        }


def sample(host: Host, kind: str, name: str, total: int, port: int = 80) -> dict[str, Any]:
    """Measure what `total` connections of a kind, from one, ten or a thousand addresses, take from the client."""
    client = f"ip netns exec clients python3 {FOLDER}/client.py"
    lead = LEAD_SECONDS + total / CONNECTIONS_PER_SECOND
    abuse = f"{client} {kind} {SPREADS[name]} {total} {lead + SECONDS + 1} {TARGET} {port}" if total else "echo '{}'"
    # By the same socket as the abuse.
    address = "192.0.2.2" if SPREADS[name].startswith("4") else "2001:db8::2"
    good = f"{client} good {address} {RATE} {SECONDS} {TARGET} {port}"
    output = host.shell(f"""
        cd {FOLDER}
        {abuse} >abuse.json & abuse=$!
        sleep {lead}
        {good} >good.json
        # nginx unlinks them at once.
        for process in $(pgrep nginx); do
            find /proc/$process/fd -lname '*/nginx/body/*' -exec stat --dereference --format=%s {{}} +
        done | awk '{{ bytes += $1 }} END {{ print int(bytes / 1e6) }}'
        wait $abuse || echo {{}} >abuse.json
        cat good.json abuse.json
    """)
    disk, good_line, abuse_line = output.splitlines()
    result: dict[str, Any] = json.loads(good_line) | {
        "disk_mb": int(disk),
        "abuse": json.loads(abuse_line),
    }
    progress("bench", f"{kind}, {name}: {text(result)}; {shlex.quote(abuse_line)}")
    return result


def text(sample: dict[str, Any]) -> str:
    """What the client had: the median and the 99th percentile, failed requests, and the room that bodies take."""
    times, failed = sample["ms"], sum(sample["failed"].values())
    shown = f"{percentile(times, 50):.0f} ms, {percentile(times, 99):.0f} ms" if times else "none answered"
    if failed:
        shown += f", {100 * failed / (failed + len(times)):.0f} % failed"
    return shown + (f", {sample['disk_mb']:,} MB" if sample["disk_mb"] > 10 else "")
