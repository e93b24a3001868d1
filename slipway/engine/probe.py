"""Requests to a release over HTTP: on its own socket, and through nginx as every client does."""

import http.client
import json
import socket
import ssl
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

MAX_BYTES = 65536


@dataclass(frozen=True)
class Answer:
    """A response: its status, the beginning of its body and where a redirect leads, or why there was none."""

    status: int = 0
    body: str = ""
    error: str = ""
    location: str = ""

    @property
    def good(self) -> bool:
        """The response is a success (2xx)."""
        return 200 <= self.status < 300

    def __str__(self) -> str:
        if not self.status:
            return self.error
        return " ".join(filter(None, (str(self.status), self.location and f"to {self.location}", self.body[:500])))

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


def request_headers(host: str, scheme: str) -> dict[str, str]:
    """Return the headers of a probe: those that nginx sends (nginx/proxy.conf), for a client on this host.

    `scheme` is the scheme that clients use, so that an app that redirects http to https answers the probe.
    """
    return {
        "Host": host,
        "X-Request-ID": uuid.uuid4().hex,
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": scheme,
        "User-Agent": "slipway",
        "Accept": "*/*",
        "Connection": "close",
    }


def _get(connection: http.client.HTTPConnection, path: str, host: str, scheme: str) -> Answer:
    deadline = time.monotonic() + (connection.timeout or 0)
    try:
        connection.request("GET", path, headers=request_headers(host, scheme))
        response = connection.getresponse()
        location = response.getheader("Location", "") if 300 <= response.status < 400 else ""
        return Answer(response.status, _body(response, deadline).decode(errors="replace"), location=location)
    except TimeoutError:
        return Answer(error=f"no answer within {connection.timeout:g} s")
    except (OSError, http.client.HTTPException) as error:
        return Answer(error=f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def _body(response: http.client.HTTPResponse, deadline: float) -> bytes:
    """The beginning of the body. An answer that never ends (a stream of events) is no answer."""
    body = b""
    while len(body) < MAX_BYTES and (part := response.read1(MAX_BYTES)):
        body += part
        if time.monotonic() > deadline:
            raise TimeoutError
    return body


def get_from_socket(path: Path, url_path: str, host: str, timeout: float = 5, scheme: str = "http") -> Answer:
    """GET from the release behind a unix socket, as nginx does for a client. `timeout` in seconds."""
    return _get(_UnixConnection(path, timeout), url_path, host, scheme)


class Front:
    """nginx, as a client on this host sees it."""

    def get(self, url: str, url_path: str, host: str, timeout: float = 5, scheme: str = "http") -> Answer:
        """GET through nginx. `timeout` in seconds."""
        parts = urlsplit(url)
        if parts.scheme == "https":
            # The certificate is for the site's names, not for the loopback.
            context = ssl._create_unverified_context()  # noqa: S323
            connection: http.client.HTTPConnection = _NamedTLSConnection(
                parts.hostname or "", parts.port or 443, host, timeout, context
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout)
        return _get(connection, url_path, host, scheme)


class _NamedTLSConnection(http.client.HTTPSConnection):
    """TLS to an address, with another name in SNI."""

    def __init__(self, address: str, port: int, name: str, timeout: float, context: ssl.SSLContext) -> None:
        super().__init__(address, port, timeout=timeout, context=context)
        self._name = name
        self._tls = context

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self._name)


def queue_length(path: Path) -> int:
    """The number of connections in a listening socket's queue that the app has not accepted."""
    return sum(int(row[2]) for row in _unix_sockets("--listening", path))


def open_connections(path: Path) -> int:
    """The number of connections to a socket that were accepted and are open."""
    return len(_unix_sockets("state", path, "established"))


def _unix_sockets(which: str, path: Path, *more: str) -> list[list[str]]:
    shown = subprocess.run(
        ["ss", "--no-header", "--unix", which, *more, "src", f"unix:{path}"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    ).stdout
    return [row for line in shown.splitlines() if len(row := line.split()) > 3]
