"""https by one variable, its certificate's renewal, and http again."""

import hashlib
import http.client
import socket
import ssl
from typing import Any

SCHEME = "https"
MAKE = (
    "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout /root/new.key -out /root/new.pem"
    " 2>/dev/null && install -d /etc/nginx/tls && install -m 0644 /root/new.pem /etc/nginx/tls/certificate.pem"
    " && install -m 0640 -g www-data /root/new.key /etc/nginx/tls/key.pem"
)


def ports(host: Any) -> set[str]:
    """The ports of nginx.socket and those that are open on the host: the same ones."""
    listening = host.check_output("ss --no-header --listening --tcp --numeric").splitlines()
    open_ports = {line.split()[3].rpartition(":")[2] for line in listening} - {"22"}
    held = host.check_output("systemctl show --property=Listen --value nginx.socket").splitlines()
    assert {line.split()[0].rpartition(":")[2] for line in held} == open_ports
    return open_ports


def status(addresses: dict[str, str]) -> int:
    """What http answers."""
    connection = http.client.HTTPConnection(addresses["http"], timeout=10)
    connection.request("GET", "/version", headers={"Host": "localhost"})
    found = connection.getresponse().status
    connection.close()
    return found


def served(addresses: dict[str, str]) -> str:
    """The fingerprint of the certificate that nginx serves."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    where, _, port = addresses["https"].partition(":")
    with (
        socket.create_connection((where, int(port)), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        return hashlib.sha256(secure.getpeercert(True) or b"").hexdigest()


def test_it_is_turned_on(host: Any, provision: Any, addresses: dict[str, str]) -> None:
    host.check_output(MAKE)
    done = provision(nginx_tls="files")
    assert done.returncode == 0, done.stdout
    assert ports(host) == {"80", "443"}
    assert status(addresses) == 308


def test_a_certificate_is_renewed(load: Any, host: Any, addresses: dict[str, str]) -> None:
    before = served(addresses)
    moment = host.check_output(MAKE + " && date +%s.%N && systemctl reload nginx && sleep 1")
    load.closings.append(float(moment))
    after = served(addresses)
    assert after != before
    assert after == host.check_output("openssl x509 -in /root/new.pem -outform DER | sha256sum").split()[0]
    load.check()
    load.stop()


def test_it_is_turned_off(host: Any, provision: Any, addresses: dict[str, str]) -> None:
    """With no load: the ports are opened anew."""
    done = provision(nginx_tls="none")
    assert done.returncode == 0, done.stdout
    assert ports(host) == {"80"}
    assert status(addresses) == 200
