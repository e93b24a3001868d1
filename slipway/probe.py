"""Asking a release over HTTP: on its own socket, and through nginx as everybody else does."""

import http.client
import json
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

MOST_BYTES = 65536


@dataclass(frozen=True)
class Answer:
    """What came back: a status and the beginning of the body, or why nothing did."""

    status: int = 0
    body: str = ""
    error: str = ""

    @property
    def good(self) -> bool:
        """It is a success (2xx)."""
        return 200 <= self.status < 300

    def __str__(self) -> str:
        return f"{self.status} {self.body[:500]}".strip() if self.status else self.error

    def field(self, name: str) -> str | None:
        """A text field of a JSON body; None if there is none."""
        try:
            value = json.loads(self.body).get(name)
        except (ValueError, AttributeError):
            return None
        return value if isinstance(value, str) else None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _ask(connection: http.client.HTTPConnection, path: str, host: str) -> Answer:
    deadline = time.monotonic() + (connection.timeout or 0)
    headers = {"Host": host, "User-Agent": "slipway", "Connection": "close", "Accept": "application/json"}
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, _body(response, deadline).decode(errors="replace"))
    except TimeoutError:
        return Answer(error=f"no answer within {connection.timeout:g} s")
    except (OSError, http.client.HTTPException) as error:
        return Answer(error=f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def _body(response: http.client.HTTPResponse, deadline: float) -> bytes:
    """The beginning of the body. An answer that never ends (a stream of events) is no answer."""
    body = b""
    while len(body) < MOST_BYTES and (part := response.read1(MOST_BYTES)):
        body += part
        if time.monotonic() > deadline:
            raise TimeoutError
    return body


def ask_socket(path: Path, url_path: str, host: str, timeout: float = 5) -> Answer:
    """GET from the release behind a unix socket. `timeout` in seconds."""
    return _ask(_UnixConnection(path, timeout), url_path, host)


class Front:
    """nginx, as a client on this host sees it."""

    def ask(self, url: str, url_path: str, host: str, timeout: float = 5) -> Answer:
        """GET through nginx. `timeout` in seconds."""
        parts = urlsplit(url)
        if parts.scheme == "https":
            # The certificate is for the site's names, not for the loopback that we talk to.
            context = ssl._create_unverified_context()  # noqa: S323
            connection: http.client.HTTPConnection = _NamedTLSConnection(
                parts.hostname or "", parts.port or 443, host, timeout, context
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout)
        return _ask(connection, url_path, host)


class _NamedTLSConnection(http.client.HTTPSConnection):
    """TLS to an address, asking for a name by SNI."""

    def __init__(self, address: str, port: int, name: str, timeout: float, context: ssl.SSLContext) -> None:
        super().__init__(address, port, timeout=timeout, context=context)
        self._name = name
        self._tls = context

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self._name)


def waiting(path: Path) -> int:
    """How many connections wait in a listening socket's queue for the app to take them."""
    shown = subprocess.run(
        ["ss", "--no-header", "--unix", "--listening", "src", f"unix:{path}"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    ).stdout
    return sum(int(line.split()[2]) for line in shown.splitlines() if len(line.split()) > 3)
