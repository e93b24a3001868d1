"""What a client of the site gets, by http and by https."""

import hashlib
import http.client
import socket
import ssl
from dataclasses import dataclass


@dataclass(frozen=True)
class Secure:
    """An answer by https."""

    status: int
    fingerprint: str
    """Of the certificate, by any CA."""
    hsts: str | None


def by_http(addresses: dict[str, str], name: str) -> tuple[int, str | None]:
    """Return the status of the site of a name by http, and where that leads to."""
    connection = http.client.HTTPConnection(addresses["http"], timeout=30)
    connection.request("GET", "/version?a=b", headers={"Host": name})
    answer = connection.getresponse()
    found = answer.status, answer.getheader("Location")
    connection.close()
    return found


def by_https(addresses: dict[str, str], name: str) -> Secure:
    """Return the answer of the site of a name by https.

    Raises:
        ssl.SSLError: nginx has no certificate for the name.
    """
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    where, _, port = addresses["https"].partition(":")
    with (
        socket.create_connection((where, int(port)), 30) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        secure.sendall(f"GET /version HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        answer = http.client.HTTPResponse(secure)
        answer.begin()
        fingerprint = hashlib.sha256(secure.getpeercert(True) or b"").hexdigest()
        return Secure(answer.status, fingerprint, answer.getheader("Strict-Transport-Security"))
