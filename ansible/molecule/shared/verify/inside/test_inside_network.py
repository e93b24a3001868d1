"""Networks: nothing is reached but what app_egress says. What is refused is shown to be there first."""

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.units import Site
from slipway.units.drop_ins import network

EGRESS = Path(__file__).resolve().parents[5] / "systemd" / "egress"
FAMILIES = """
import socket
for family in range(1, 64):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try:
            socket.socket(family, kind).close()
        except OSError:
            continue
        print(family, kind)
"""
REACHED = """
for path in {paths!r}:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        try:
            connect(path, kind=kind)
        except OSError:
            continue
        print(path)
"""
KINDS = ("SOCK_STREAM", "SOCK_DGRAM")
UNIX = {(1, kind) for kind in (1, 2, 3, 5)}
# Streams and datagrams, no raw sockets.
INTERNET = {(family, kind) for family in (2, 10) for kind in (1, 2)}


def reach(address: str, kind: str) -> str:
    family = "socket.AF_INET6" if ":" in address else "socket.AF_INET"
    return f"connect(({address!r}, 8099), {family}, socket.{kind})"


def families(run: Any) -> set[tuple[int, int]]:
    return {(int(family), int(kind)) for family, kind in (line.split() for line in run(FAMILIES).splitlines())}


@pytest.fixture(scope="module")
def egress(host: Any, deployer: Any, targets: list[str]) -> Iterator[Callable[[str], None]]:
    """Restart the live release with another app_egress: with the file that provisioning would install."""
    release = json.loads(deployer.check_output("slipway status --json"))["live"]
    folders = [f"/run/systemd/system/{unit}@.service.d" for unit in ("app", "network")]
    # The network is built again, which stops the app, too.
    restart = (
        f"systemctl daemon-reload && systemctl stop network@app:{release} && systemctl start app@{release}.service"
    )

    def change(name: str, networks: str = "") -> None:
        text = (EGRESS / f"{name}.conf").read_text() + f"IPAddressAllow={networks}\n" * bool(networks)
        # systemd merges the lists of all drop-ins; an empty value resets these.
        fresh = text.replace("[Service]", "[Service]\nIPAddressDeny=\nIPAddressAllow=\nIPAddressAllow=localhost")
        site = Site.parse({"egress": name, "egress_networks": networks.split()})
        for folder, content in zip(folders, (fresh, network(site)), strict=True):
            host.check_output(f"mkdir -p {folder} && printf %s {shlex.quote(content)} >{folder}/90-test.conf")
        host.check_output(restart)

    yield change
    host.check_output(f"rm -r {' '.join(folders)} && {restart}")


def reached(try_all: Any, addresses: list[str]) -> set[str]:
    """Those of the addresses that answer, over TCP or over UDP."""
    answers = try_all(reach(address, kind) for address in addresses for kind in KINDS)
    return {address for address in addresses if any(answers[reach(address, kind)] == "allowed" for kind in KINDS)}


def test_the_targets_are_there(outside: Any, targets: list[str]) -> None:
    lines = [reach(address, kind) for address in targets for kind in KINDS]
    lines += [f"connect({path!r})" for path in ("\0target", "/run/target.sock", "/var/tmp/target.sock")]
    assert {line: answer for line, answer in outside(lines).items() if answer != "allowed"} == {}


def test_none_reaches_nothing(try_in_app: Any, targets: list[str]) -> None:
    assert reached(try_in_app, targets) == set()


def test_none_looks_up_no_name(try_in_app: Any) -> None:
    assert set(try_in_app(["socket.getaddrinfo('example.com', 80)"]).values()) == {"EAI"}


def test_nginx_has_unix_sockets_only(run_in_nginx: Any) -> None:
    assert families(run_in_nginx) == UNIX


def test_none_has_a_network_with_nothing_but_itself(run_in_app: Any, egress: Callable[[str], None]) -> None:
    """An app may listen on a port by itself; no other address is there to reach."""
    # pytest may run this after a test that has changed it.
    egress("none")
    assert families(run_in_app) == UNIX | INTERNET
    # The sandbox has no netlink, by which the names of devices are usually read.
    devices = run_in_app("print(open('/proc/self/net/dev').read())").splitlines()[2:]
    assert [line.partition(":")[0].strip() for line in devices if line] == ["lo"]


def test_no_abstract_socket_of_the_host_is_reached(try_all: Any, targets: list[str]) -> None:
    assert set(try_all(["connect('\\0target')"]).values()) == {"ECONNREFUSED"}


def test_no_unix_socket_of_the_host_is_reached(
    host: Any, run: Any, prelude: str, victim: str, targets: list[str]
) -> None:
    words = host.check_output("ss --no-header --listening --unix --all --numeric").split()
    paths = {word for word in words if word.startswith("/")}
    assert {"/run/target.sock", "/var/tmp/target.sock", "/run/dbus/system_bus_socket", "/run/systemd/notify"} <= paths
    reached = run(prelude + REACHED.format(paths=sorted(paths))).split()
    own = {"app": ["/run/systemd/journal/dev-log"], "nginx": ["/run/app/"]}
    assert [path for path in reached if not path.startswith(tuple(own[victim]))] == []


def test_internet_does_not_reach_metadata(
    egress: Callable[..., None], run_in_app: Any, try_in_app: Any, targets: list[str], metadata: list[str]
) -> None:
    egress("internet")
    assert families(run_in_app) == UNIX | INTERNET
    assert reached(try_in_app, targets) == set(targets) - set(metadata) - {"::1"}
    assert reached(try_in_app, [f"::ffff:{address}" for address in metadata if ":" not in address]) == set()


def test_networks_reaches_those_of_its_list(
    egress: Callable[..., None], run_in_app: Any, try_in_app: Any, targets: list[str]
) -> None:
    egress("networks", "192.0.2.0/24 2001:db8::/32")
    assert families(run_in_app) == UNIX | INTERNET
    assert reached(try_in_app, targets) == {"192.0.2.1", "2001:db8::1"}


def test_host_reaches_the_loopback(
    egress: Callable[..., None], run_in_app: Any, try_in_app: Any, targets: list[str]
) -> None:
    egress("host")
    assert families(run_in_app) == UNIX | INTERNET
    # Linux routes ::1 to no other device: a service on this host's loopback has to listen on 127.0.0.1.
    assert reached(try_in_app, targets) == {"127.0.0.1"}
