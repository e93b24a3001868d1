"""`fastapi run` under `app_egress: networks`: what the host does meanwhile, and what is left of its releases."""

import http.client
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from clients import wait_until
from deploys import Deploy, Site

from tools.checkout import THIRD_PARTY_IMAGES, container

pytestmark = pytest.mark.usefixtures("brief_watch")
APPS = Path(__file__).resolve().parents[2] / "apps"
LARGE = 40_000_000
"""Bytes: more than all queues of the kernel on the way hold (20 MB), and than a client reads during a deploy."""
UNITS = "systemctl list-units --all --plain --no-legend 'app@*' 'network@*' 'proxy@*' | cut -d' ' -f1"
PEER = "import socket; print(socket.create_server(('{address}', 5432)).accept()[1][0])"
FIREWALL = """
for iptables in iptables ip6tables; do
    $iptables -I INPUT -i lo -j ACCEPT && $iptables -I INPUT -i eth0 -j ACCEPT
    $iptables -P INPUT {policy} && $iptables -P FORWARD {policy}
done
"""


def deploy(setting: str = "") -> Deploy:
    return Deploy(more=[f"--extra-vars=@{APPS}/fastapi.yml"], image=f"{THIRD_PARTY_IMAGES}:fastapi", setting=setting)


@pytest.fixture
def reaches(host: Any, ask: Any, elsewhere: str) -> Iterator[Any]:
    """Whether the app reaches an address; each answers."""
    host.check_output(
        f"ip -netns slipway-elsewhere address add 198.51.100.2/24 dev eth0; ip route add 198.51.100.0/24 dev elsewhere; "
        f"systemd-run --quiet --collect --unit=elsewhere {elsewhere} python3 -m http.server 8099"
    )
    wait_until(
        lambda: host.run("python3 -c \"import socket; socket.create_connection(('203.0.113.2', 8099), 1)\"").rc == 0
    )
    yield lambda address: ask(f"/reach/{address}/8099").json["reached"]
    host.check_output("systemctl stop elsewhere.service")


def test_it_reaches_its_networks_and_nothing_else(host: Any, status: Any, reaches: Any) -> None:
    assert (status["state"], status["port"]) == ("healthy", 8000)
    assert host.run("python3 -c \"import socket; socket.create_connection(('198.51.100.2', 8099), 1)\"").rc == 0
    assert reaches("203.0.113.2")
    assert not reaches("198.51.100.2")


def test_a_service_on_an_address_of_the_host_sees_a_local_client(host: Any, ask: Any, elsewhere: str) -> None:
    program = PEER.format(address="203.0.113.1")
    host.check_output(
        f'systemd-run --quiet --collect --unit=peer --property=StandardOutput=file:/run/peer python3 -uc "{program}"'
    )
    wait_until(lambda: ask("/reach/203.0.113.1/5432").json["reached"])
    wait_until(lambda: host.run("systemctl is-active peer.service").rc != 0)
    assert host.check_output("cat /run/peer") == "203.0.113.1"


@pytest.mark.parametrize(
    "event",
    [
        pytest.param("nft flush ruleset && /usr/local/lib/slipway/network rules", marks=pytest.mark.catalogue),
        pytest.param(
            "systemctl start nftables.service && systemctl reload nftables.service", marks=pytest.mark.catalogue
        ),
        "systemctl restart nftables.service",
    ],
)
def test_what_takes_all_rules_along_costs_no_request(
    host: Any, ask: Any, reaches: Any, no_request_fails: None, event: str
) -> None:
    host.check_output(event)
    assert "chain forward" in host.check_output("nft list table inet slipway")
    assert reaches("203.0.113.2")
    time.sleep(1)  # of load


def test_a_firewall_of_the_host_costs_no_request(host: Any, reaches: Any, no_request_fails: None) -> None:
    host.check_output("command -v iptables || apt-get install -qq -y --no-install-recommends iptables")
    try:
        host.check_output(FIREWALL.format(policy="DROP") + "/usr/local/lib/slipway/network rules")
        assert reaches("203.0.113.2")
        good = deploy()
        assert good.wait() == 0, good.output
        assert reaches("203.0.113.2")
    finally:
        host.check_output(FIREWALL.format(policy="ACCEPT"))


def test_a_slow_client_gets_all_that_the_app_had_sent(
    deployer: Any, status: Any, addresses: dict[str, str], no_request_fails: None
) -> None:
    """The app has ended before the client has read all: its proxy passes on the rest, and only then it is retired."""
    old, deployed = status["live"], threading.Event()
    with ThreadPoolExecutor(1) as pool:
        received = pool.submit(read_slowly, addresses["http"], deployed)
        try:
            run = deploy()
            # Looked at meanwhile: the end of the playbook can take longer than the app may take to stop.
            Site(deployer).until(lambda each: _release(each, old)["state"] == "retiring", seconds=150)
            time.sleep(2)
        finally:
            deployed.set()
        assert run.wait() == 0, run.output
        assert received.result() == LARGE
    Site(deployer).until(lambda each: _release(each, old)["state"] == "retired")


def read_slowly(address: str, deployed: threading.Event) -> int:
    """Read a large answer slowly until the deploy is done, and at its end, for which the app does not wait.

    Returns the bytes that came.
    """
    count = 0
    with closing(http.client.HTTPConnection(address, timeout=60)) as connection:
        connection.request("GET", f"/bytes/{LARGE}", headers={"Host": "localhost"})
        response = connection.getresponse()
        while chunk := response.read1(1 << 16):
            count += len(chunk)
            if not deployed.is_set():
                time.sleep(1)
            elif count > LARGE - 4_000_000:
                time.sleep(0.01)
    return count


def _release(status: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in status["releases"] if each["release"] == name)


@pytest.mark.catalogue  # verify/port has one
def test_a_bad_deploy_and_a_rollback_fail_no_request(deployer: Any, status: Any, no_request_fails: None) -> None:
    bad = deploy("BAZAAR=broken")
    assert bad.wait() != 0
    assert Site(deployer).status()["live"] == status["live"]
    deployer.check_output("slipway rollback")
    Site(deployer).until(lambda each: each["state"] == "healthy" and each["live"] == status["rollback_target"])


def test_the_host_restarts(host: Any, deployer: Any, docker: str, name: str, status: Any, ask: Any) -> None:
    subprocess.run([docker, "restart", container(name)], check=True, capture_output=True)
    # A boot and the app's own start, on a busy machine.
    after = Site(deployer).until(lambda each: each["state"] == "healthy", seconds=180)
    assert (after["live"], after["port"]) == (status["live"], 8000)
    assert ask("/about").json["release"] == status["live"]
    wait_until(lambda: host.run("ls /run/netns").stdout.split() == [f"app:{status['live']}"])
    assert host.check_output("cat /proc/sys/net/ipv4/ip_forward") == "1"


def test_nothing_is_left_of_releases_that_were_removed(host: Any, deployer: Any) -> None:
    host.check_output('sed -i \'s/"keep": [0-9]*/"keep": 2/\' /etc/slipway/config.json')
    run = deploy()
    assert run.wait() == 0, run.output
    live = Site(deployer).until(lambda each: each["state"] == "healthy" and len(each["releases"]) == 2)["live"]
    wait_until(lambda: set(host.check_output(UNITS).split()) == _units(live))
    assert host.check_output("ls /run/netns").split() == [f"app:{live}"]
    assert host.check_output("ip -oneline link show type veth | grep -c slipway") == "1"
    assert host.check_output("ls /srv/app/releases | grep -c json") == "2"
    host.check_output(f"systemctl stop app@{live}.socket app@{live}.service proxy@{live}.service")
    try:
        wait_until(
            lambda: host.check_output("ls /run/netns; ip -oneline link show type veth | grep slipway; true") == ""
        )
        assert "slipway" not in host.check_output("nft list ruleset")
    finally:
        deployer.check_output("slipway recover")


def _units(release: str) -> set[str]:
    return {
        f"app@{release}.service",
        f"app@{release}.socket",
        f"network@app:{release}.service",
        f"proxy@{release}.service",
    }
