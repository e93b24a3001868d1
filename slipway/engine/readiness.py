"""Tells an answer of the ready path that waiting will not change, and what to set instead."""

import time
from collections.abc import Callable
from urllib.parse import urljoin, urlsplit

from slipway.engine.probe import Answer

TRANSIENT = frozenset({408, 409, 423, 424, 425, 429})
"""Statuses 4xx by which an app may say "not now"; all 5xx may as well."""
SETTLED_SECONDS = 2.0
LATE_ROUTES_SECONDS = 8.0
"""For 404: a server that takes requests before its routes exist answers it for a moment."""


class Refusal:
    """How long the same refusal has been given."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._status, self._since = clock, 0, 0.0

    def is_settled(self, answer: Answer) -> bool:
        """Whether the answer is a redirect or a refusal that stayed the same for long enough."""
        if answer.status != self._status:
            self._status, self._since = answer.status, self._clock()
        if not 300 <= answer.status < 500 or answer.status in TRANSIENT:
            return False
        return self._clock() - self._since >= (LATE_ROUTES_SECONDS if answer.status == 404 else SETTLED_SECONDS)


def explain(answer: Answer, path: str, host: str, scheme: str) -> str:
    """Name the answer to a probe that waiting does not change, and the variable to set."""
    what = f"GET {path} with Host: {host} and X-Forwarded-Proto: {scheme} was answered: {answer}"
    return f"{what}\nWaiting does not change that. {advice(answer, path, host, scheme)}"


def advice(answer: Answer, path: str, host: str, scheme: str) -> str:
    """Name the variable to set for a redirect or a refusal; empty for any other answer."""
    if not 300 <= answer.status < 500 or answer.status in TRANSIENT:
        return ""
    if answer.status < 400:
        return _redirect(urljoin(f"{scheme}://{host}{path}", answer.location), path, host, scheme)
    match answer.status:
        case 400 | 421:
            return (
                f"If it refuses the name {host!r}, set app_probe_host to one of nginx_server_names that the app "
                "accepts (ALLOWED_HOSTS, TrustedHostMiddleware)."
            )
        case 401 | 402 | 403 | 407:
            return "Set app_ready_path to a path that answers 2xx without credentials."
        case 404 | 410:
            return "Set app_ready_path to the path that answers 2xx when the app can serve."
        case 405:
            return "The probe is a GET: set app_ready_path to a path that answers one with 2xx."
    return "Set app_ready_path to a path that answers 2xx to a plain GET without other headers."


def _redirect(target: str, path: str, host: str, scheme: str) -> str:
    to = urlsplit(target)
    to_path = to.path + (f"?{to.query}" if to.query else "")
    if to.scheme == "https" and scheme == "http" and to_path == path:
        return (
            "The app wants https. Where clients come by https, say so: nginx_tls: acme or files, or "
            "nginx_client_scheme: https where a balancer before this host has the certificate."
        )
    if to.netloc != host and to_path == path:
        return f"Set app_probe_host: {to.hostname} (and have it in nginx_server_names)."
    if to.netloc == host and to.path.rstrip("/") == urlsplit(path).path.rstrip("/"):
        return f"Set app_ready_path: {to_path}"
    return "A redirect is not ready: set app_ready_path to a path that answers 2xx by itself, without signing in."
