"""The clients of the load, for Locust: at a constant rate, each response checked, each request logged.

Run by `python -m labs.load`; by hand: `tools/run locust -f labs/load/clients.py --host http://127.0.0.1:8080`. Without
--paths they use the link shortener of app/; with it they GET paths of any app and expect the status that is given.

Every failure is real, and no failure is hidden:
- Requests are not retried. FastHttpUser does not, but geventhttpclient sends a GET up to eleven times when the server
  closes the connection without a response, which is what a bad deploy looks like. That is switched off.
- A kept-alive connection that the server closed while it was idle is not reused: no request was lost on it, and every
  browser and client library checks before it sends. A connection that is closed under a request is a failure.
"""

import json
import os
import random
import time
from collections import deque
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from urllib.parse import quote

import gevent
from gevent.monkey import get_original
from geventhttpclient import client as http_client
from geventhttpclient.connectionpool import ConnectionPool
from locust import FastHttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.contrib.fasthttp import ResponseContextManager
from locust.env import Environment

FLUSH_SECONDS = 0.2
SLOW_SECONDS = 1
METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH")

if not hasattr(http_client, "_may_retry_after_send_error"):
    raise ImportError("geventhttpclient changed: look for how it now repeats requests by itself, and switch that off")
http_client._may_retry_after_send_error = lambda method: False  # noqa: ARG005 -- the name is part of the interface

select = get_original("select", "poll")
get_socket = ConnectionPool.get_socket


def get_open_socket(pool: ConnectionPool) -> Any:
    """Take a connection from the pool, or a new one; skip those that the server has closed."""
    while True:
        connection = get_socket(pool)
        poll = select()
        poll.register(connection.fileno(), 0x2000)  # POLLRDHUP; poll always reports errors
        if not poll.poll(0):
            return connection
        pool.release_socket(connection)


ConnectionPool.get_socket = get_open_socket  # type: ignore[method-assign,assignment]


class Log:
    """Log requests as JSON Lines, in whole lines so that a reader never sees half a line."""

    def __init__(self, directory: Path) -> None:
        """Open requests.jsonl (all, short) and failures.jsonl (failed requests, in full) in `directory`."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self.requests, self.failures = (
            os.open(directory / name, flags, 0o644) for name in ("requests.jsonl", "failures.jsonl")
        )
        self.lines: list[str] = []

    def request(
        self,
        request_type: str,
        name: str,
        response_time: float,
        response: ResponseContextManager,
        exception: Exception | str | None,
        start_time: float,
        url: str,
        context: dict[str, Any],
        **_: Any,
    ) -> None:
        """Log one request; Locust calls this for each."""
        line = {
            "t": round(start_time, 3),
            "m": request_type,
            "r": name,
            "s": response.status_code,
            "ms": round(response_time, 1),
            **context,
        }
        self.lines.append(json.dumps(line, separators=(",", ":")))
        if exception:
            error = exception if isinstance(exception, str) else f"{type(exception).__name__}: {exception}"
            path = url.split("/", 3)[3] if url.count("/") > 2 else ""
            identifier = response.headers.get("X-Request-ID") if response.headers else None
            failure = line | {"path": path, "error": error, "id": identifier}
            os.write(self.failures, f"{json.dumps(failure)}\n".encode())

    def flush(self) -> None:
        """Write the collected lines."""
        lines, self.lines = self.lines, []
        if lines:
            os.write(self.requests, "".join(f"{line}\n" for line in lines).encode())

    def keep_flushing(self) -> None:
        """Flush until the process ends."""
        while True:
            gevent.sleep(FLUSH_SECONDS)
            self.flush()


class Link(NamedTuple):
    """A short link that a client created."""

    slug: str
    url: str


links: deque[Link] = deque(maxlen=500)
"""The newest links, which readers follow: they are in the database that every release shares."""

Check = Callable[[ResponseContextManager], str | None]


class Client(FastHttpUser):
    """A client with one connection that checks every response. Subclasses choose requests and rate."""

    abstract = True
    connection_timeout = 10.0
    network_timeout = 60.0
    concurrency = 1
    headers: ClassVar[dict[str, str]] = {}
    rate = 0.0
    """Requests per second of one client."""
    share = 0.0
    """Of the whole rate, 0 to 1, for all clients of the class."""

    def on_start(self) -> None:
        """Start at a random moment of the first period, so that clients are not in step."""
        gevent.sleep(random.random() / self.rate)
        self.due = time.monotonic()

    def wait_time(self) -> float:
        """Wait until the next request is due. A stall is not followed by a burst."""
        now = time.monotonic()
        self.due = max(self.due + 1 / self.rate, now)
        return self.due - now

    def send(self, method: str, path: str, route: str, check: Check, **options: Any) -> None:
        """Send one request. `check` returns what is wrong with the response, None if nothing is."""
        with self.client.request(
            method,
            path,
            name=route,
            headers=self.headers,
            allow_redirects=False,
            catch_response=True,
            context={},
            **options,
        ) as response:
            # No response, or part of one. An error status is an exception here, too, but the check tells more.
            exception = response.request_meta["exception"]
            if exception and response.status_code < 400:
                response.failure(exception)
                return
            try:
                wrong = check(response)
            except (ValueError, KeyError, TypeError) as error:
                wrong = f"unexpected body ({type(error).__name__}: {error}): {response.text[:200]!r}"
            if wrong:
                response.failure(wrong)
            else:
                response.success()

    def create(self) -> None:
        """Create a link and remember it."""
        url = f"https://example.org/{quote(os.urandom(6).hex())}"

        def check(response: ResponseContextManager) -> str | None:
            if wrong := check_status(response, 201):
                return wrong
            link = response.json()
            if link["url"] != url:
                return f"created a link to {link['url']!r} instead of {url!r}"
            links.append(Link(link["slug"], url))
            return None

        self.send("POST", "/links", "/links", check, json={"url": url})

    def read(self) -> None:
        """Send a GET request: mostly for links."""
        match random.random():
            case share if share < 0.2:
                self.send("GET", "/version", "/version", check_version)
            case share if share < 0.4:
                self.send("GET", "/readyz", "/readyz", lambda response: check_status(response, 200))
            case _ if links:
                link = random.choice(links)
                self.send("GET", f"/{link.slug}", "/{slug}", lambda response: check_redirect(response, link))
            case _:
                self.create()


def check_status(response: ResponseContextManager, expected: int) -> str | None:
    """Compare the status with the expected one; an error shows the beginning of the body."""
    if response.status_code == expected:
        return None
    return f"status {response.status_code} instead of {expected}: {(response.text or '')[:200]!r}"


def check_version(response: ResponseContextManager) -> str | None:
    """Log the release that /version names, so that a report can show which release answered when.

    Over the internet it names none.
    """
    if wrong := check_status(response, 200):
        return wrong
    response.request_meta["context"]["v"] = response.json().get("release")
    return None


def check_redirect(response: ResponseContextManager, link: Link) -> str | None:
    """Compare the target of a short link with the URL that it was created for."""
    if wrong := check_status(response, 307):
        return wrong
    target = response.headers and response.headers.get("location")
    return None if target == link.url else f"/{link.slug} leads to {target!r} instead of {link.url!r}"


class Reader(Client):
    """Follow links over a kept-alive connection."""

    share, rate = 0.5, 5.0

    @task
    def act(self) -> None:
        """Send one request."""
        self.read()


class Newcomer(Client):
    """Follow links, each time over a new connection: only these notice a socket that does not listen."""

    share, rate = 0.2, 3.0
    headers: ClassVar[dict[str, str]] = {"Connection": "close"}

    @task
    def act(self) -> None:
        """Send one request."""
        self.read()


class Creator(Client):
    """Create links: requests that must not be repeated."""

    share, rate = 0.2, 3.0

    @task
    def act(self) -> None:
        """Send one request."""
        self.create()


class EveryMethod(Client):
    """Use every method in turn, with `--every-method-at`: a path that answers each of them with 200."""

    share, rate = 0.2, 3.0

    def on_start(self) -> None:
        """Start with a random method."""
        super().on_start()
        self.methods = cycle(random.sample(METHODS, len(METHODS)))

    @task
    def act(self) -> None:
        """Send one request."""
        method = next(self.methods)
        body = None if method in {"GET", "HEAD", "OPTIONS"} else b"a body"
        path = self.environment.parsed_options.every_method_at
        self.send(method, path, f"{method} {path}", lambda response: check_status(response, 200), data=body)


class SlowReader(Client):
    """Request a response that takes a second, so that requests are always in flight."""

    share, rate = 0.1, 0.5

    @task
    def act(self) -> None:
        """Send one request."""

        def check(response: ResponseContextManager) -> str | None:
            took = response.request_meta["response_time"] / 1000
            return check_status(response, 200) or (
                None if took >= SLOW_SECONDS * 0.95 else f"answered after only {took:.3f} s"
            )

        self.send("GET", f"/slow?seconds={SLOW_SECONDS}", "/slow", check)


class PathReader(Client):
    """GET the paths of `--paths` over a kept-alive connection."""

    share, rate = 0.7, 5.0

    def on_start(self) -> None:
        """Parse the option."""
        super().on_start()
        words = self.environment.parsed_options.paths.split()
        self.expected = [(int(status), path) for status, path in zip(words[::2], words[1::2], strict=True)]

    @task
    def act(self) -> None:
        """Send one request."""
        status, path = random.choice(self.expected)
        self.send("GET", path, path, lambda response: check_status(response, status))


class NewPathReader(PathReader):
    """GET the paths, each time over a new connection."""

    share, rate = 0.3, 3.0
    headers: ClassVar[dict[str, str]] = {"Connection": "close"}


SHORTENER = (Reader, Newcomer, Creator, SlowReader)
PATHS = (PathReader, NewPathReader)


@events.init_command_line_parser.add_listener
def _options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--rate", type=float, default=150, help="requests per second of all clients together")
    parser.add_argument("--client-rate", type=float, default=0, help="of one client; 0: as its class says")
    parser.add_argument("--paths", default="", help="pairs of status and path, instead of the link shortener")
    parser.add_argument("--every-method-at", default="", help="a path for clients that use every method")
    parser.add_argument("--host-header", default="", help="Host header, if it is not the URL's")
    parser.add_argument("--log-directory", default=".", help="of requests.jsonl and failures.jsonl")


@events.init.add_listener
def _init(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    assert options is not None
    log = Log(Path(options.log_directory))
    environment.events.request.add_listener(log.request)
    gevent.spawn(log.keep_flushing)
    environment.events.quit.add_listener(lambda **_: log.flush())
    kinds: list[type[Client]] = [*(PATHS if options.paths else SHORTENER)]
    kinds += [EveryMethod] if options.every_method_at else []
    for kind in kinds:
        kind.fixed_count = max(1, round(options.rate * kind.share / (options.client_rate or kind.rate)))
        kind.rate = options.rate * kind.share / kind.fixed_count
        if options.host_header:
            kind.headers = kind.headers | {"Host": options.host_header}
    options.num_users = sum(kind.fixed_count for kind in kinds)
    options.spawn_rate = options.num_users
