"""The networks of the app beside firewalls and routers of others: on a small host of its own, whose rules may be broken."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

NAME = "app:20260101T000000-c0ffee0"
# A host with an uplink, behind which a server of the internet is, and a service on its loopback. It ends with its first process.
HOST = """
mount -t tmpfs none /run && mount -t sysfs none /sys
ip link set lo up
ip netns add world
ip link add up0 type veth peer name eth0 netns world
ip address add 203.0.113.1/24 dev up0 && ip link set up0 up
ip -netns world address add 203.0.113.2/24 dev eth0 && ip -netns world link set eth0 up
ip netns exec world timeout 30 python3 -m http.server 8099 >/dev/null 2>&1 &
timeout 30 python3 -m http.server 8098 --bind 127.0.0.1 >/dev/null 2>&1 &
network() { EGRESS=internet LOOPBACK=127.0.0.0/8 /usr/local/lib/slipway/network "$@"; }
reach() { # NAMESPACE ADDRESS PORT
    nsenter --net=/run/netns/$1 python3 -c "
import socket, time
deadline = time.monotonic() + 3
while True:
    try:
        socket.create_connection(('$2', $3), 1)
    except ConnectionRefusedError:  # it does not listen yet
        assert time.monotonic() < deadline
        time.sleep(0.1)
    else:
        break
" 2>/dev/null && echo "$2 reached" || echo "$2 not reached"
}
reaches() { reach $name 203.0.113.2 8099; reach $name 127.0.0.1 8098; }
forwards() { cat /proc/sys/net/ipv4/ip_forward; }
"""
REACHED = ["203.0.113.2 reached", "127.0.0.1 reached"]
NEITHER = ["203.0.113.2 not reached", "127.0.0.1 not reached"]
IPTABLES = """
iptables -P INPUT DROP && iptables -P FORWARD DROP
ip6tables -P INPUT DROP && ip6tables -P FORWARD DROP
iptables -A INPUT -i lo -j ACCEPT
"""
NFTABLES = """
nft --file - <<NFT
table inet filter {
    chain input { type filter hook input priority 0; policy drop; iifname lo accept; %s; }
    chain forward { type filter hook forward priority 0; policy drop; %s; }
}
NFT
"""
ACCEPTED = NFTABLES % (
    'iifname "slipway*" ip daddr 127.0.0.0/8 accept',
    'iifname "slipway*" accept; oifname "slipway*" ct state established,related accept',
)
DROPPED = NFTABLES % ("ct state invalid drop", "ct state invalid drop")


@pytest.fixture(scope="module")
def on_small_host(host: Any) -> Callable[[str], list[str]]:
    """Run a script on such a host; the lines that it prints, with those on stderr."""
    host.check_output("command -v iptables || apt-get install -qq -y --no-install-recommends iptables")

    def run(script: str) -> list[str]:
        text = base64.b64encode(f"set -e\nname={NAME}\n{HOST}\n{script}".encode()).decode()
        run = host.run(
            f"echo {text} | base64 -d >/tmp/small-host.sh; unshare --net --mount bash /tmp/small-host.sh 2>&1"
        )
        assert run.rc == 0, run.stdout
        lines: list[str] = run.stdout.splitlines()
        return lines

    return run


@pytest.mark.parametrize("firewall", [IPTABLES, ACCEPTED, ":"], ids=["iptables", "nftables", "none"])
@pytest.mark.parametrize("order", ["{firewall}\nnetwork up {name}", "network up {name}\n{firewall}\nnetwork rules"])
def test_an_app_reaches_others_through_a_firewall(
    on_small_host: Callable[[str], list[str]], firewall: str, order: str
) -> None:
    """Also where the firewall is started again later, which takes our rules along."""
    assert on_small_host(order.format(firewall=firewall, name=NAME) + "\nreaches") == REACHED


def test_the_firewall_of_iptables_drops_what_we_do_not_accept(on_small_host: Callable[[str], list[str]]) -> None:
    assert on_small_host(f"network up {NAME}\n{IPTABLES}\niptables -F FORWARD; iptables -F INPUT\nreaches") == NEITHER


def test_chains_of_nftables_that_drop_are_named_with_what_to_add(on_small_host: Callable[[str], list[str]]) -> None:
    *told, first, second = on_small_host(f"{DROPPED}\nnetwork up {NAME}\nreaches")
    assert [first, second] == NEITHER
    assert any(
        "inet filter forward" in line and 'oifname "slipway*" ct state established,related' in line for line in told
    )
    assert any(
        "inet filter input" in line and 'iifname "slipway*" ip daddr 127.0.0.0/8 accept' in line for line in told
    )


def test_a_firewall_has_its_own_rules_again_when_the_last_network_is_gone(
    on_small_host: Callable[[str], list[str]],
) -> None:
    save = "iptables-save | grep -v '^[#:]'; nft list tables | grep slipway || true"
    before, after = f"{IPTABLES}\n{save}", f"network up {NAME}\nnetwork down {NAME}\n{save}"
    lines = on_small_host(f"{before}\necho then\n{after}")
    at = lines.index("then")
    assert lines[:at] == lines[at + 1 :]


@pytest.mark.parametrize(
    ("before", "meanwhile", "after"),
    [
        ("0", ":", "0"),
        ("1", ":", "1"),
        # Containers came meanwhile, and need it.
        ("0", "ip link add docker0 type bridge", "1"),
    ],
    ids=["no router", "a router", "one since then"],
)
def test_forwarding_is_left_as_others_need_it(
    on_small_host: Callable[[str], list[str]], before: str, meanwhile: str, after: str
) -> None:
    change = f"network up {NAME}\nforwards\n{meanwhile}\nnetwork down {NAME}\nforwards"
    assert on_small_host(f"echo {before} >/proc/sys/net/ipv4/ip_forward\n{change}") == ["1", after]


@pytest.mark.parametrize(("before", "reached"), [("0", "not reached"), ("1", "reached")])
def test_a_host_becomes_no_router_between_uplinks(
    on_small_host: Callable[[str], list[str]], before: str, reached: str
) -> None:
    """A second machine sends packets for the first one to the host."""
    second = """
    ip netns add other && ip link add up1 type veth peer name eth0 netns other
    ip address add 198.51.100.1/24 dev up1 && ip link set up1 up
    ip -netns other address add 198.51.100.2/24 dev eth0 && ip -netns other link set eth0 up
    ip -netns other route add default via 198.51.100.1 && ip -netns world route add default via 203.0.113.1
    # A card of the machine has a device; a pair of cables has none, so the default routes name both.
    ip route add default via 203.0.113.2 dev up0 metric 1 && ip route add default via 198.51.100.2 dev up1 metric 2
    """
    script = f"{second}\necho {before} >/proc/sys/net/ipv4/ip_forward\nnetwork up {NAME}\nreach other 203.0.113.2 8099"
    assert on_small_host(script) == [f"203.0.113.2 {reached}"]


def test_an_emptied_ruleset_is_written_again(on_small_host: Callable[[str], list[str]]) -> None:
    emptied = on_small_host(
        f"network up {NAME}\nnft flush ruleset\nreach {NAME} 203.0.113.2 8099\nnetwork rules\nreaches"
    )
    assert emptied == ["203.0.113.2 not reached", *REACHED]


def test_a_service_of_the_host_sees_a_local_client(on_small_host: Callable[[str], list[str]]) -> None:
    """As for any program of the host: PostgreSQL's pg_hba.conf goes by that."""
    service = "python3 -c \"import socket; s = socket.create_server(('203.0.113.1', 5432)); print(s.accept()[1][0])\" &"
    ask = f"network up {NAME}\nreach {NAME} 203.0.113.1 5432\nwait $service"
    assert sorted(on_small_host(f"{service}\nservice=$!\n{ask}")) == ["203.0.113.1", "203.0.113.1 reached"]
