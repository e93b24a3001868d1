"""The load: what a link shortener's clients do, at a constant rate, every request checked and written down.

Run by `tests/load/load`, which see; by hand: `tools/run locust -f tests/load/locustfile.py --host http://127.0.0.1:8080`.

A failure here has to be a real one, and none may be hidden:
- nothing is retried. FastHttpUser does not, but the client under it sends a GET again, up to eleven times, when the
  server hangs up without an answer, which is just what a bad deploy looks like. That is switched off.
- a kept-alive connection that the server closed while it was idle is not used again: no request was lost on it. Every
  browser and client library looks before it sends. One that is closed under a request is a failure.
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
http_client._may_retry_after_send_error = lambda method: False

select = get_original("select", "poll")
get_socket = ConnectionPool.get_socket


def get_open_socket(pool: ConnectionPool) -> Any:
    """Take a connection from the pool, or a new one: never one that the server has already closed."""
    while True:
        connection = get_socket(pool)
        poll = select()
        poll.register(connection.fileno(), 0x2000)  # POLLRDHUP; errors are always told
        if not poll.poll(0):
            return connection
        pool.release_socket(connection)


ConnectionPool.get_socket = get_open_socket  # type: ignore[method-assign,assignment]


class Log:
    """The requests of a run: one line of JSON each, written in whole lines so that a reader never sees a half."""

    def __init__(self, directory: Path) -> None:
        """Open requests.jsonl (all, short) and failures.jsonl (those that failed, in full) in `directory`."""
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
        """Write down one request; Locust calls this for each."""
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
        """Hand what is collected to the kernel."""
        lines, self.lines = self.lines, []
        if lines:
            os.write(self.requests, "".join(f"{line}\n" for line in lines).encode())

    def keep_flushing(self) -> None:
        """Flush until the process ends."""
        while True:
            gevent.sleep(FLUSH_SECONDS)
            self.flush()


class Link(NamedTuple):
    """A short link that the load made."""

    slug: str
    url: str


links: deque[Link] = deque(maxlen=500)
"""The newest links, which the readers follow: they are in the database that every release shares."""

Check = Callable[[ResponseContextManager], str | None]


class Client(FastHttpUser):
    """Somebody with one connection, who looks at every answer. Subclasses say what they ask and how often."""

    abstract = True
    connection_timeout = 10.0
    network_timeout = 60.0
    concurrency = 1
    headers: ClassVar[dict[str, str]] = {}
    rate = 0.0
    """Requests per second of one such client."""
    share = 0.0
    """Its kind's part of the whole rate."""

    def on_start(self) -> None:
        """Begin at a random moment of the first period, so that they are not all in step."""
        gevent.sleep(random.random() / self.rate)
        self.due = time.monotonic()

    def wait_time(self) -> float:
        """Keep the beat whatever a request took. What a stall made late is not made up for by a burst."""
        now = time.monotonic()
        self.due = max(self.due + 1 / self.rate, now)
        return self.due - now

    def ask(self, method: str, path: str, route: str, check: Check, **options: Any) -> None:
        """Send one request. `check` says what is wrong with the answer, None if nothing is."""
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
            # No answer, or not all of it. An error status is an exception here as well, but the check tells more.
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
        """Make a link, and remember it."""
        url = f"https://example.org/{quote(os.urandom(6).hex())}"

        def check(response: ResponseContextManager) -> str | None:
            if wrong := status(response, 201):
                return wrong
            link = response.json()
            if link["url"] != url:
                return f"made a link to {link['url']!r} instead of {url!r}"
            links.append(Link(link["slug"], url))
            return None

        self.ask("POST", "/links", "/links", check, json={"url": url})

    def read(self) -> None:
        """Ask one of the things that are read: mostly links."""
        match random.random():
            case share if share < 0.2:
                self.ask("GET", "/version", "/version", check_version)
            case share if share < 0.4:
                self.ask("GET", "/readyz", "/readyz", lambda response: status(response, 200))
            case _ if links:
                link = random.choice(links)
                self.ask("GET", f"/{link.slug}", "/{slug}", lambda response: check_redirect(response, link))
            case _:
                self.create()


def status(response: ResponseContextManager, expected: int) -> str | None:
    """Say what is wrong with the status, and show the answer's beginning."""
    if response.status_code == expected:
        return None
    return f"status {response.status_code} instead of {expected}: {(response.text or '')[:200]!r}"


def check_version(response: ResponseContextManager) -> str | None:
    """/version tells the release; it goes into the log, so that a report can show who answered when."""
    if wrong := status(response, 200):
        return wrong
    response.request_meta["context"]["v"] = response.json()["release"]
    return None


def check_redirect(response: ResponseContextManager, link: Link) -> str | None:
    """A short link leads where its maker wanted."""
    if wrong := status(response, 307):
        return wrong
    target = response.headers and response.headers.get("location")
    return None if target == link.url else f"/{link.slug} leads to {target!r} instead of {link.url!r}"


class Reader(Client):
    """Reads over a connection that is kept alive."""

    share, rate = 0.5, 5.0

    @task
    def act(self) -> None:
        """One request."""
        self.read()


class Newcomer(Client):
    """Reads, each time over a new connection: who listens, and whether anyone does, matters only to these."""

    share, rate = 0.2, 3.0
    headers: ClassVar[dict[str, str]] = {"Connection": "close"}

    @task
    def act(self) -> None:
        """One request."""
        self.read()


class Maker(Client):
    """Makes links: requests that nobody may repeat."""

    share, rate = 0.2, 3.0

    @task
    def act(self) -> None:
        """One request."""
        self.create()


class Caller(Client):
    """Uses every method, each time another: only with `--every-method-at`, a path that answers each of them with 200."""

    share, rate = 0.2, 3.0

    def on_start(self) -> None:
        """Begin with any of them."""
        super().on_start()
        self.methods = cycle(random.sample(METHODS, len(METHODS)))

    @task
    def act(self) -> None:
        """One request."""
        method = next(self.methods)
        body = None if method in {"GET", "HEAD", "OPTIONS"} else b"a body"
        path = self.environment.parsed_options.every_method_at
        self.ask(method, path, f"{method} {path}", lambda response: status(response, 200), data=body)


class Sleeper(Client):
    """Asks for what takes a second, so that there are always requests under way."""

    share, rate = 0.1, 0.5

    @task
    def act(self) -> None:
        """One request."""

        def check(response: ResponseContextManager) -> str | None:
            took = response.request_meta["response_time"] / 1000
            return status(response, 200) or (
                None if took >= SLOW_SECONDS * 0.95 else f"answered after {took:.3f} s already"
            )

        self.ask("GET", f"/slow?seconds={SLOW_SECONDS}", "/slow", check)


KINDS = (Reader, Newcomer, Maker, Sleeper, Caller)


@events.init_command_line_parser.add_listener
def _options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--rate", type=float, default=150, help="requests per second, all together")
    parser.add_argument(
        "--every-method-at", default="", help="a path for clients that use every method, beside the others"
    )
    parser.add_argument("--host-header", default="", help="Host header to send, if it is not the URL's")
    parser.add_argument("--log-directory", default=".", help="where requests.jsonl and failures.jsonl are written")


@events.init.add_listener
def _init(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    assert options is not None
    log = Log(Path(options.log_directory))
    environment.events.request.add_listener(log.request)
    gevent.spawn(log.keep_flushing)
    environment.events.quit.add_listener(lambda **_: log.flush())
    kinds = [kind for kind in KINDS if kind is not Caller or options.every_method_at]
    for kind in kinds:
        kind.fixed_count = max(1, round(options.rate * kind.share / kind.rate))
        kind.rate = options.rate * kind.share / kind.fixed_count
        if options.host_header:
            kind.headers = kind.headers | {"Host": options.host_header}
    options.num_users = sum(kind.fixed_count for kind in kinds)
    options.spawn_rate = options.num_users
