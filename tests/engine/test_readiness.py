"""Which answers of the ready path waiting does not change, and what is told: by real servers with what apps have before them."""

import base64
import dataclasses
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from slipway.engine import phases, readiness
from slipway.engine.activation import Activation
from slipway.engine.errors import PhaseError
from slipway.engine.probe import Answer, get_from_socket, request_headers
from slipway.engine.readiness import Refusal
from tests.engine.fakes import FakeHost
from tests.engine.names import A

PROXY = Path(__file__).parents[2] / "nginx/proxy.conf"


@contextmanager
def serving(path: Path, app: Any) -> Iterator[None]:
    """Run uvicorn on a unix socket, with the unit's FORWARDED_ALLOW_IPS."""
    path.unlink(missing_ok=True)
    server = uvicorn.Server(uvicorn.Config(app, uds=str(path), forwarded_allow_ips="*", log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield
    server.should_exit = True
    thread.join()


def tell(request: Request) -> Response:
    """Tell who asks; without a client this raises, as in many an app."""
    client = cast("Any", request.client).host
    return JSONResponse({"client": client, "url": str(request.url), "headers": dict(request.headers)})


def answering(status: int, **headers: str) -> Callable[[Request], Response]:
    def answer(_request: Request) -> Response:
        return PlainTextResponse("no", status, headers)

    return answer


def basic_auth(request: Request) -> Response:
    if request.headers.get("Authorization") == "Basic " + base64.b64encode(b"u:p").decode():
        return PlainTextResponse("ok")
    return PlainTextResponse("Unauthorized", 401, {"WWW-Authenticate": "Basic"})


def app(endpoint: Callable[[Request], Response], *middleware: Middleware) -> Starlette:
    return Starlette(routes=[Route("/readyz", endpoint)], middleware=middleware)


HTTPS, TRUSTED = Middleware(HTTPSRedirectMiddleware), Middleware(TrustedHostMiddleware, allowed_hosts=["app.example"])
WWW = Middleware(TrustedHostMiddleware, allowed_hosts=["www.app.example", "app.example"])
# The app, and by which answer and which advice it is known.
REFUSALS = {
    "https": (app(tell, HTTPS), "307 to https://localhost/readyz", "nginx_client_scheme: https"),
    "host": (app(tell, TRUSTED), "400 Invalid host header", "app_probe_host"),
    "401": (app(basic_auth), "401 Unauthorized", "app_ready_path to a path that answers 2xx without credentials"),
    "402": (app(answering(402)), "402 no", "app_ready_path"),
    "403": (app(answering(403)), "403 no", "without credentials"),
    "405": (
        Starlette(routes=[Route("/readyz", tell, methods=["POST"])]),
        "405 Method Not Allowed",
        "The probe is a GET",
    ),
    "406": (app(answering(406)), "406 no", "app_ready_path"),
    "410": (app(answering(410)), "410 no", "app_ready_path"),
    "428": (app(answering(428)), "428 no", "without other headers"),
    "451": (app(answering(451)), "451 no", "app_ready_path"),
    "404": (Starlette(), "404 Not Found", "Set app_ready_path"),
    "slash": (
        Starlette(routes=[Mount("/readyz", routes=[Route("/", tell)])]),
        "307 to http://localhost/readyz/",
        "Set app_ready_path: /readyz/",
    ),
    "login": (
        app(lambda _request: RedirectResponse("/login?next=/readyz", 302)),
        "302 to /login",
        "without signing in",
    ),
    "other host": (
        app(lambda _request: RedirectResponse("http://www.app.example/readyz", 301)),
        "301 to http://www.app.example/readyz",
        "Set app_probe_host: www.app.example",
    ),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_ends_the_wait_and_names_the_variable(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Not after `release_start_timeout`, which is a minute here."""
    monkeypatch.setattr(readiness, "SETTLED_SECONDS", 0.05)
    monkeypatch.setattr(readiness, "LATE_ROUTES_SECONDS", 0.1)
    host.site = dataclasses.replace(host.site, start_timeout=60)
    host.ship(A)
    host.systemd.start(f"app@{A}.service")
    host.systemd.servers.pop(f"app@{A}.service").close()
    refusing, answer, advice = REFUSALS[kind]
    with serving(host.releases.socket(A), refusing), pytest.raises(PhaseError) as raised:
        phases.probe(Activation.begin(host, host.releases.record(A)))
    assert f"GET /readyz with Host: localhost and X-Forwarded-Proto: http was answered: {answer}" in str(raised.value)
    assert advice in str(raised.value)


@pytest.mark.parametrize("middleware", [[], [HTTPS], [TRUSTED], [HTTPS, WWW]])
def test_the_probe_is_a_request_like_any_other(folder: Path, middleware: list[Middleware]) -> None:
    with serving(folder / "s", app(tell, *middleware)):
        answer = get_from_socket(folder / "s", "/readyz", "app.example", scheme="https")
    assert answer.status == 200, answer
    assert answer.field("client") == "127.0.0.1"
    assert answer.field("url") == "https://app.example/readyz"


def test_any_accept_is_served(folder: Path) -> None:
    def html_only(request: Request) -> Response:
        accepted = request.headers["Accept"]
        return PlainTextResponse("page", 200 if "*/*" in accepted or "text/html" in accepted else 406)

    with serving(folder / "s", app(html_only)):
        assert get_from_socket(folder / "s", "/readyz", "localhost").good


def test_the_headers_are_those_that_nginx_sends() -> None:
    sent = dict(re.findall(r"^proxy_set_header (\S+) (.*);$", PROXY.read_text(), re.MULTILINE))
    about_connection = {"Connection", "Upgrade"}
    headers = request_headers("app.example", "https")
    assert {name for name, value in sent.items() if value != '""'} - about_connection <= set(headers)
    assert not {name for name, value in sent.items() if value == '""'} & set(headers)
    assert re.fullmatch("[0-9a-f]{32}", headers["X-Request-ID"])
    assert headers["X-Request-ID"] != request_headers("app.example", "https")["X-Request-ID"]


@pytest.mark.parametrize("status", [200, 204, 408, 409, 423, 424, 425, 429, 500, 502, 503])
def test_what_may_change_is_waited_for(status: int) -> None:
    now = 0.0
    refusal = Refusal(lambda: now)
    for _ in range(1000):
        assert not refusal.is_settled(Answer(status))
        now += 1


@pytest.mark.parametrize(("status", "seconds"), [(301, 2), (307, 2), (400, 2), (401, 2), (403, 2), (428, 2), (404, 8)])
def test_what_does_not_change_is_told_once_it_has_stayed(status: int, seconds: float) -> None:
    now = 0.0
    refusal = Refusal(lambda: now)
    assert not refusal.is_settled(Answer(503))
    assert not refusal.is_settled(Answer(status))
    now = seconds - 0.1
    assert not refusal.is_settled(Answer(status))
    now = seconds
    assert refusal.is_settled(Answer(status))
    assert not refusal.is_settled(Answer(error="no answer within 5 s"))
    assert not refusal.is_settled(Answer(status)), "the app may have been restarted"


def test_an_app_that_is_late_becomes_ready(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused at first, as by a server whose routes come later."""
    monkeypatch.setattr(readiness, "LATE_ROUTES_SECONDS", 10)
    host.site = dataclasses.replace(host.site, start_timeout=60, version_path=None)
    host.ship(A)
    host.systemd.start(f"app@{A}.service")
    host.systemd.servers.pop(f"app@{A}.service").close()
    statuses = iter([503, 404, 404, 429])
    with serving(host.releases.socket(A), app(lambda _request: Response(status_code=next(statuses, 200)))):
        phases.probe(Activation.begin(host, host.releases.record(A)))
    assert next(statuses, None) is None
