"""The host's firewall, tried from another machine: what is open, what is not, and that nobody is locked out."""

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deploys import run_playbook

PORT = 9100
RULES = "nft --stateless --terse list table inet slipway_firewall"


@pytest.fixture
def address(host: Any) -> str:
    """The host's address on the network that it shares with this machine."""
    return str(host.check_output("hostname -I").split()[0])


@pytest.fixture
def service(host: Any) -> Iterator[None]:
    """What an administrator has besides, on every address."""
    host.check_output(
        f"for port in {PORT} {PORT + 1}; do systemd-run --quiet --unit=bystander-$port python3 -m http.server $port; done; "
        f"for attempt in $(seq 50); do [ $(ss -Htln sport ge {PORT} sport le {PORT + 1} | wc -l) = 2 ] && exit; sleep 0.1; done"
    )
    yield
    host.run("systemctl stop 'bystander-*'")


def answers(address: str, port: int) -> bool:
    """Whether a connection is accepted within a second: what is dropped is not answered at all."""
    try:
        socket.create_connection((address, port), timeout=1).close()
    except TimeoutError:
        return False
    return True


def firewall(**variables: Any) -> subprocess.CompletedProcess[str]:
    """Apply the rules with these variables, as site.yml does."""
    play = str(Path(__file__).with_name("firewall.yml"))
    return run_playbook(play, "--extra-vars", json.dumps(variables))


@pytest.mark.usefixtures("service")
def test_other_machines_reach_what_the_site_serves_and_nothing_else(host: Any, address: str) -> None:
    itself = f"import socket; [socket.create_connection(('{address}', port), 2) for port in ({PORT}, {PORT + 1})]"
    assert host.run(f'python3 -c "{itself}"').rc == 0
    ports = (22, 80, PORT, PORT + 1)
    assert [answers(address, port) for port in ports] == [True, True, False, False]
    everybody = {"port": f"{PORT + 1}-{PORT + 9}", "from": ["0.0.0.0/0", "::/0"]}
    opened = firewall(hardening_firewall_open=[{"port": PORT, "from": ["192.0.2.0/24"]}, everybody])
    assert opened.returncode == 0, opened.stdout
    assert [answers(address, port) for port in ports] == [True, True, False, True]
    closed = firewall()
    assert f"tcp {PORT} (python3), tcp {PORT + 1} (python3)" in " ".join(closed.stdout.split())
    assert [answers(address, port) for port in ports] == [True, True, False, False]


def test_it_is_in_force_after_the_tables_were_emptied(host: Any) -> None:
    before = host.check_output(RULES)
    host.check_output("systemctl restart nftables")
    host.run("for attempt in $(seq 50); do nft list table inet slipway_firewall && exit; sleep 0.1; done")
    assert host.check_output(RULES) == before
    assert host.service("firewall").is_enabled
    # As provisioning leaves the host: test_openscap.py counts the firewalls that run.
    host.check_output("systemctl stop nftables && systemctl restart firewall && /usr/local/lib/slipway/network rules")


def test_rules_that_lock_out_are_taken_back(host: Any, address: str) -> None:
    before = host.check_output(RULES)
    refused = firewall(__hardening_ssh_ports=["23"])
    assert refused.returncode != 0
    assert "the rules are those before again" in " ".join(refused.stdout.split())
    assert host.check_output(RULES) == before
    assert answers(address, 22)


@pytest.mark.catalogue  # the test before has one that does not succeed
def test_rules_are_taken_back_without_a_connection(host: Any, address: str) -> None:
    """The second connection never comes: here the controller waits for it longer than the host does."""
    before = host.check_output(RULES)
    refused = firewall(
        __hardening_ssh_ports=["23"],
        __hardening_undo_seconds=1,
        __hardening_second_connection="sleep 6",
    )
    assert refused.returncode != 0
    assert "Stop the way back failed" in " ".join(refused.stdout.split())
    assert host.check_output(RULES) == before
    assert answers(address, 22)


def test_another_firewall_stays(host: Any) -> None:
    before = host.check_output(RULES)
    host.check_output(
        "nft 'table ip others { chain input { type filter hook input priority 0; policy accept; accept; }; }' && "
        "nft 'chain ip others input { policy drop; }'"
    )
    try:
        kept = firewall()
        assert kept.returncode == 0, kept.stdout
        assert "keeps its own firewall (ip others)" in " ".join(kept.stdout.split())
        assert host.run(RULES).rc != 0
    finally:
        host.check_output("nft delete table ip others")
        again = firewall()
    assert again.returncode == 0, again.stdout
    assert host.check_output(RULES) == before


CONNECT = """
import socket
made = 0
for attempt in range(TRIES):
    try:
        socket.create_connection(("ADDRESS", 22), timeout=0.2, source_address=("SOURCE", 0)).close()
        made += 1
    except TimeoutError:
        pass
print(made)
"""


LIMITS: dict[str, Any] = {"hardening_firewall_ssh_rate": 30, "nginx_trusted_proxies": ["192.0.2.3"]}


@pytest.fixture(scope="module")
def client(host: Any) -> Iterator[str]:
    """The name of a network on the host that stands for another machine, under low limits.

    192.0.2.3 is a trusted proxy, and the machine has a /48 as well. sshd refuses the machine for a while after the tries.
    """
    host.check_output(
        "ip netns add client && ip link add way type veth peer name eth0 netns client && "
        "echo 0 >/proc/sys/net/ipv6/conf/way/disable_ipv6 && "
        "ip netns exec client sh -c 'echo 0 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6' && "
        "ip address add 192.0.2.1/24 dev way && ip -6 address add 2001:db8::1/64 dev way nodad && ip link set way up && "
        "printf '%s\\n' 'link set eth0 up' 'address add 192.0.2.2/24 dev eth0' 'address add 192.0.2.3/24 dev eth0' "
        "'address add 2001:db8::2/64 dev eth0 nodad' "
        "'address add 2001:db8::3/64 dev eth0 nodad' | ip -n client -batch - && "
        "ip netns exec client sh -c 'echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind && ip link set lo up && "
        "ip -6 route add local 2001:db8:1::/48 dev lo' && ip -6 route add 2001:db8:1::/48 via 2001:db8::2"
    )
    limited = firewall(**LIMITS, hardening_firewall_connections=20)
    assert limited.returncode == 0, limited.stdout
    yield "client"
    host.run("ip netns delete client; ip link delete way 2>/dev/null")
    assert firewall().returncode == 0


def test_new_connections_of_ssh_are_limited(host: Any, client: str) -> None:
    def connections(address: str, source: str, tries: int) -> int:
        program = CONNECT.replace("ADDRESS", address).replace("SOURCE", source).replace("TRIES", str(tries))
        return int(host.check_output(f"ip netns exec {client} python3 -c '{program}'"))

    # 60 at once, and one more every two seconds of the tries that are dropped.
    assert 60 <= connections("192.0.2.1", "192.0.2.2", 75) < 75
    assert 60 <= connections("2001:db8::1", "2001:db8::2", 75) < 75
    assert connections("2001:db8::1", "2001:db8::3", 20) < 20


HOLD = """
import socket
held = []
for source in SOURCES:
    before = len(held)
    for attempt in range(30):
        try:
            address = "2001:db8::1" if ":" in source else "192.0.2.1"
            held.append(socket.create_connection((address, 80), timeout=5, source_address=(source, 0)))
        except ConnectionRefusedError:
            pass
    print(len(held) - before)
"""


def test_open_connections_to_nginx_are_limited(host: Any, client: str) -> None:
    """Also of those that send nothing, which nginx does not count."""
    sources = ["192.0.2.2", "192.0.2.3", "2001:db8::2", "2001:db8::3"]
    program = HOLD.replace("SOURCES", repr(sources).replace("'", '"'))
    held = host.check_output(f"ip netns exec {client} python3 -c '{program}'").split()
    assert held == ["20", "30", "20", "0"]


FLOOD = """
import select, socket, struct
for source, networks, tries in FLOODS:
    address, family = ("2001:db8::1", socket.AF_INET6) if ":" in source else ("192.0.2.1", socket.AF_INET)
    opened, connecting = {}, select.poll()
    for number in range(tries):
        client = socket.socket(family)
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.setsockopt(socket.SOL_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        client.bind((source.format(number % networks), 0))
        client.connect_ex((address, 80))
        opened[client.fileno()] = client
        connecting.register(client, select.POLLOUT)
    made = 0
    while found := connecting.poll(300):
        for number, event in found:
            made += not event & select.POLLERR
            connecting.unregister(number)
            opened.pop(number).close()
    for left in opened.values():
        left.close()
    print(made)
"""


def test_new_connections_to_nginx_are_limited(host: Any, client: str) -> None:
    """Each may cost nginx a TLS handshake before nginx knows the client. 50 at once and 10 a second; a /48 has ten times that."""
    limited = firewall(**LIMITS, hardening_firewall_connections=0, hardening_firewall_connection_rate=10)
    assert limited.returncode == 0, limited.stdout
    floods = [
        ("192.0.2.2", 1, 200),
        ("192.0.2.3", 1, 200),
        ("2001:db8::2", 1, 200),
        ("2001:db8::3", 1, 20),
        ("2001:db8:1:{}::1", 100, 900),
    ]
    program = FLOOD.replace("FLOODS", repr(floods).replace("'", '"'))
    made = [int(each) for each in host.check_output(f"ip netns exec {client} python3 -c '{program}'").split()]
    assert 50 <= made[0] < 100
    assert made[1] == 200, "a trusted proxy has no limit"
    assert 50 <= made[2] < 100
    assert made[3] < 20, "addresses of a /64 are one client"
    assert 500 <= made[4] < 800, "a machine that has a /48 has ten times as many"
