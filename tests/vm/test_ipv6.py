"""A VM with an IPv6 address by router advertisement: provisioned, deployed to and visited by it; the firewall holds there, too."""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator

import pytest
import yaml

from labs.command import progress
from tests.vm.agreement import assert_all_agree
from tests.vm.conftest import CLOSED, FOLDER
from tests.vm.machine import Machine
from tests.vm.site import NAME, Site
from tests.vm.uplink import CLIENT, LIFETIME_SECONDS, NEIGHBOUR, STRANGER, forget_neighbours, uplink

ANSWER_SECONDS = 20
CERTIFICATE = f"""
mkdir -p /etc/nginx/tls
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={NAME} \
    -addext subjectAltName=DNS:{NAME} -keyout /etc/nginx/tls/key.pem -out /etc/nginx/tls/certificate.pem
chgrp www-data /etc/nginx/tls/key.pem
chmod 640 /etc/nginx/tls/key.pem
"""
LISTENER = "import socket, sys; server = socket.create_server(('::', int(sys.argv[1])), family=socket.AF_INET6)\nwhile True: server.accept()[0].sendall(b'hello')"
ROUTE = "ip -6 -json route show default"


@pytest.fixture(scope="module")
def machine_on(start: Callable[..., Machine]) -> Iterator[Machine]:
    """A VM on a network that has a router."""
    with uplink(FOLDER) as tap:
        try:
            yield start(tap=tap)
        finally:
            forget_neighbours()


@pytest.fixture(scope="module")
def address(machine_on: Machine, site: Site) -> Iterator[str]:
    """Its address; commands of the tool reach it there."""
    assert_all_agree(site)
    machine_on.wait(lambda: global_address(machine_on) is not None, 120)
    found = global_address(machine_on)
    assert found
    with (machine_on.folder / "known_hosts").open("a") as known:
        known.write(f"{found} {(machine_on.folder / 'ssh_host_ed25519_key.pub').read_text()}")
    hosts = site.folder / "hosts.yml"
    before = hosts.read_text()
    inventory = yaml.safe_load(before)
    inventory["app"]["hosts"]["vm"] |= {"ansible_host": found, "ansible_port": 22}
    hosts.write_text(yaml.safe_dump(inventory))
    yield found
    hosts.write_text(before)


def global_address(machine: Machine) -> str | None:
    """The VM's address, None as long as no router gave it one."""
    links = json.loads(machine.shell("ip -6 -json address show scope global"))
    return next((each["local"] for link in links for each in link.get("addr_info", [])), None)


def get(address: str, client: str = CLIENT, port: int = 80) -> int:
    """Send a request from one of this machine's addresses. Returns the status; 0: no answer."""
    connection = http.client.HTTPConnection(address, port, timeout=ANSWER_SECONDS, source_address=(client, 0))
    try:
        connection.connect()
        if port == 443:
            context = ssl._create_unverified_context()
            connection.sock = context.wrap_socket(connection.sock, server_hostname=NAME)
        connection.request("GET", "/", headers={"Host": NAME})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def greets(address: str, port: int) -> bool:
    """Whether a port sends something by itself, as sshd and the listener do."""
    try:
        with socket.create_connection((address, port), ANSWER_SECONDS, (CLIENT, 0)) as connection:
            return bool(connection.recv(1))
    except OSError:
        return False


def listen(machine: Machine) -> None:
    """Let something listen on the port that the firewall closes."""
    machine.shell(f'systemd-run --quiet --unit=bystander python3 -c "{LISTENER}" {CLOSED}')
    machine.wait(lambda: "LISTEN" in machine.shell(f"ss -Htl6n sport = {CLOSED}"))


def test_a_closed_port_is_closed_over_ipv6(machine_on: Machine, address: str) -> None:
    listen(machine_on)
    assert get(address) == 200
    assert [greets(address, port) for port in (22, CLOSED)] == [True, False]
    machine_on.shell("systemctl stop firewall")
    assert [greets(address, port) for port in (22, CLOSED)] == [True, True]
    machine_on.shell("systemctl start firewall")
    assert [greets(address, port) for port in (22, CLOSED)] == [True, False]


def assert_it_stays_reachable(machine: Machine, address: str, port: int = 80) -> None:
    """Assert that the VM finds its neighbours, and is found, when nothing is remembered and each route was renewed."""
    machine.shell("ip -6 neighbour flush all")
    time.sleep(LIFETIME_SECONDS * 2)
    forget_neighbours()
    route = json.loads(machine.shell(ROUTE))
    assert [each["protocol"] for each in route] == ["ra"], route
    assert global_address(machine) == address
    assert [get(address, client, port) for client in (CLIENT, STRANGER)] == [200, 200]


def test_neighbours_and_routers_are_heard_beyond_their_times(machine_on: Machine, address: str) -> None:
    assert_it_stays_reachable(machine_on, address)


def test_a_network_of_64_bits_is_one_client(machine_on: Machine, address: str) -> None:
    values = machine_on.shell("grep -rl '^limit_conn clients' /etc/nginx").strip()
    machine_on.shell(f"sed -i 's/^limit_conn clients .*/limit_conn clients 2;/' {values}; systemctl reload nginx")
    held = [half_a_request(address) for _ in range(2)]
    try:
        machine_on.wait(lambda: get(address, NEIGHBOUR) == 429, 60)
        assert get(address, STRANGER) == 200
    finally:
        for each in held:
            each.close()
    machine_on.wait(lambda: get(address, NEIGHBOUR) == 200, 60)


def half_a_request(address: str) -> socket.socket:
    """Send a request without its body: nginx waits for that."""
    connection = socket.create_connection((address, 80), ANSWER_SECONDS, (CLIENT, 0))
    connection.sendall(f"POST / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 10\r\n\r\n".encode())
    return connection


def test_it_is_deployed_to_over_ipv6(site: Site, address: str) -> None:
    before = site.status()["live"]
    began = time.monotonic()
    site.deploy()
    progress("vm", f"deploy over IPv6: {time.monotonic() - began:.0f} s")
    status = site.status()
    assert status["live"] != before
    assert status["history"][-1]["origin"].startswith("2001:db8:51:"), status["history"][-1]
    assert status["live"] in site.slipway("status", "production")


def test_it_is_provisioned_over_ipv6(machine_on: Machine, site: Site, address: str) -> None:
    machine_on.shell(CERTIFICATE)
    # With a way out for the app the host forwards, and Linux then takes no route from a router by itself.
    site.set(nginx_tls="files", app_egress="internet")
    began = time.monotonic()
    site.slipway("provision", "production")
    progress("vm", f"provision over IPv6, with a deploy: {time.monotonic() - began:.0f} s")
    assert machine_on.shell("cat /proc/sys/net/ipv6/conf/all/forwarding") == "1\n"
    assert [get(address, port=port) for port in (80, 443)] == [308, 200]
    assert_it_stays_reachable(machine_on, address, 443)


def test_after_a_reboot_all_is_as_before(machine_on: Machine, site: Site, address: str) -> None:
    live = site.status()["live"]
    machine_on.shut_down()
    machine_on.start()
    machine_on.wait(lambda: get(address, port=443) == 200)
    assert site.status()["live"] == live
    listen(machine_on)
    assert [greets(address, port) for port in (22, CLOSED)] == [True, False]
    assert_it_stays_reachable(machine_on, address, 443)
