"""Delivery of one message, in the form that the receiver's kind has."""

import http.client
import json
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

from slipway import __version__
from slipway.alerts.alert import Message, Place
from slipway.alerts.settings import MAIL, Receiver

TIMEOUT_SECONDS = 15
MAX_DISCORD = 2000
"""Characters of a message."""
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def send(receiver: Receiver, message: Message, place: Place) -> str:
    """Send a message. Returns why it was not accepted; empty if it was. The reason has nothing of the URL."""
    if receiver.kind == MAIL:
        return _failure(lambda: _mail(receiver, mail(receiver, message, place)))
    return _failure(lambda: _fetch(request(receiver, message, place)))


def beat(receiver: Receiver) -> str:
    """Fetch the URL of a heartbeat. Returns why it was not accepted, as `send` does."""
    # Services that wait for heartbeats accept GET; some accept nothing else.
    return _failure(lambda: _fetch(urllib.request.Request(receiver.url, headers=_headers(receiver))))  # noqa: S310


def _failure(deliver: Callable[[], None]) -> str:
    try:
        deliver()
    except urllib.error.HTTPError as error:
        return f"status {error.code}"
    except urllib.error.URLError as error:
        return _reason(error.reason)
    except smtplib.SMTPResponseException as error:
        return f"SMTP status {error.smtp_code}"
    except (OSError, ValueError, smtplib.SMTPException, http.client.HTTPException) as error:
        return _reason(error)
    return ""


def _reason(error: object) -> str:
    """Say what failed: the text of some errors repeats the URL, so the operating system's own words are enough."""
    words = error.strerror if isinstance(error, OSError) else None
    return f"{type(error).__name__}" + (f": {words}" if words and not isinstance(error, smtplib.SMTPException) else "")


def _headers(receiver: Receiver) -> dict[str, str]:
    headers = {"User-Agent": f"slipway/{__version__}"}
    return headers | ({"Authorization": f"Bearer {receiver.token}"} if receiver.token else {})


def request(receiver: Receiver, message: Message, place: Place) -> urllib.request.Request:
    """Return the request that takes a message to a webhook."""
    headers = _headers(receiver) | {"Content-Type": "application/json"}
    subject, body = message.subject(place), message.body(place)
    if receiver.kind == "ntfy":
        headers["Content-Type"] = "text/plain; charset=utf-8"
        # ntfy takes the title in the body as well: a header has no room for other than ASCII.
        headers["Priority"] = "default" if message.over else "high"
        headers["Tags"] = "white_check_mark" if message.over else "rotating_light"
        data = f"{subject}\n{body}"
    else:
        data = json.dumps(_document(receiver.kind, message, place, subject, body))
    return urllib.request.Request(receiver.url, data.encode(), headers, method="POST")  # noqa: S310


def _document(kind: str, message: Message, place: Place, subject: str, body: str) -> dict[str, Any]:
    if kind == "slack":
        text = f"{subject}\n{body}"
        for special, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            text = text.replace(special, escaped)
        return {"text": text}
    if kind == "discord":
        return {"content": f"{subject}\n{body}"[:MAX_DISCORD], "allowed_mentions": {"parse": []}}
    alert = message.alert
    return {
        "id": message.id,
        "event": "over" if message.over else "begin",
        "key": alert.key,
        "title": alert.title,
        "detail": alert.detail,
        "next": alert.next,
        "host": place.host,
        "project": place.project,
        "environment": place.environment,
        "since": message.since,
        "at": message.at,
    }


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is redirected would become a GET, and the message be lost; a token would go to another host."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


def _fetch(sent: urllib.request.Request) -> None:
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    with opener.open(sent, timeout=TIMEOUT_SECONDS) as answer:
        answer.read(1)


def mail(receiver: Receiver, message: Message, place: Place) -> EmailMessage:
    """Return the mail."""
    made = EmailMessage()
    made["Subject"] = message.subject(place)
    made["From"] = receiver.sender or receiver.to
    made["To"] = receiver.to
    made["Message-ID"] = f"<{message.id}@slipway.invalid>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(message.body(place) + "\n")
    return made


def _mail(receiver: Receiver, made: EmailMessage) -> None:
    """Hand a mail over. By TLS, except to this host itself.

    Raises:
        OSError: the server cannot be reached, or its certificate is not trusted.
        smtplib.SMTPException: it refuses the mail.
    """
    parts, context = urlsplit(receiver.url), ssl.create_default_context()
    host, port = str(parts.hostname), parts.port
    if parts.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port or 465, timeout=TIMEOUT_SECONDS, context=context)
    else:
        server = smtplib.SMTP(host, port or 587, timeout=TIMEOUT_SECONDS)
    with server:
        if parts.scheme == "smtp" and host not in LOOPBACK:
            server.starttls(context=context)
        if receiver.user:
            server.login(receiver.user, receiver.password)
        server.send_message(made)
