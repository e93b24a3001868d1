"""Delivery to a real HTTP server and a real SMTP server, in each receiver's form, and how failures are told."""

import email
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from email import policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from slipway.alerts.alert import MAX_DETAIL, Message, Place
from slipway.alerts.send import MAX_DISCORD, beat, send
from slipway.alerts.settings import Receiver


@dataclass
class Web:
    """A server that answers with one status."""

    port: int = 0
    status: int = 200
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)

    def receiver(self, kind: str, **more: str) -> Receiver:
        return Receiver(kind, f"http://127.0.0.1:{self.port}/T0KEN", **more)


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            web.methods.append(self.command)
            web.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(web.status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    web.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield web
    server.shutdown()
    thread.join()
    server.server_close()


class Mailbox:
    """What the SMTP server accepted."""

    def __init__(self) -> None:
        self.status = "250 OK"
        self.got: list[tuple[str, list[str], EmailMessage]] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        message = email.message_from_bytes(envelope.content, policy=policy.default)
        self.got.append((envelope.mail_from, envelope.rcpt_tos, message))
        return self.status


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, Receiver]]:
    mailbox = Mailbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield mailbox, Receiver("mail", f"smtp://127.0.0.1:{port}", to="ops@example.com", sender="host@example.com")
    controller.stop()


SUBJECT = "ALERT [production www1] a.service failed"


def test_slack(web: Web, message: Message, place: Place) -> None:
    assert send(web.receiver("slack"), message, place) == ""
    [(headers, body)] = web.got
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["text"].splitlines() == [
        SUBJECT,
        "&lt;b&gt; &amp; \\x1b[2J ü",
        "where: www1, production, acme/shop",
        "when: since 2027-01-15T08:00:00+00:00",
        "next: journalctl -u a.service",
    ]


def test_it_is_over(web: Web, message: Message, place: Place) -> None:
    assert send(web.receiver("slack"), replace(message, over=True), place) == ""
    assert json.loads(web.got[0][1])["text"].splitlines() == [
        "OK [production www1] a.service failed",
        "where: www1, production, acme/shop",
        "when: from 2027-01-15T08:00:00+00:00 to 2027-01-15T08:01:00+00:00",
    ]


def test_discord_notifies_nobody_by_name_and_takes_2000_characters(web: Web, message: Message, place: Place) -> None:
    long = replace(message, alert=replace(message.alert, detail="@everyone " * 1000, next="x" * 3000))
    assert send(web.receiver("discord"), long, place) == ""
    document = json.loads(web.got[0][1])
    assert len(document["content"]) == MAX_DISCORD
    assert document["allowed_mentions"] == {"parse": []}


def test_ntfy(web: Web, message: Message, place: Place) -> None:
    assert send(web.receiver("ntfy", token="tk_1"), message, place) == ""
    [(headers, body)] = web.got
    assert (headers["authorization"], headers["priority"], headers["tags"]) == ("Bearer tk_1", "high", "rotating_light")
    assert body.decode().startswith(f"{SUBJECT}\n<b> & \\x1b[2J ü\n")


def test_json(web: Web, message: Message, place: Place) -> None:
    assert send(web.receiver("json"), message, place) == ""
    document = json.loads(web.got[0][1])
    assert (document["event"], document["key"], document["host"]) == ("begin", "unit:a.service", "www1")
    assert document["next"] == "journalctl -u a.service"


def test_mail(mailbox: tuple[Mailbox, Receiver], message: Message, place: Place) -> None:
    box, receiver = mailbox
    assert send(receiver, message, place) == ""
    [(sender, to, made)] = box.got
    assert (sender, to, made["Subject"]) == ("host@example.com", ["ops@example.com"], SUBJECT)
    assert made.get_content().splitlines()[0] == "<b> & \\x1b[2J ü"
    assert made["Message-ID"] == f"<{message.id}@slipway.invalid>"


@pytest.mark.parametrize("title", ["a\nBcc: x@y.z", "a\rb", "ü" * 300])
def test_a_title_stays_one_line(mailbox: tuple[Mailbox, Receiver], message: Message, place: Place, title: str) -> None:
    box, receiver = mailbox
    assert send(receiver, replace(message, alert=replace(message.alert, title=title)), place) == ""
    assert box.got[0][1] == ["ops@example.com"]
    assert "Bcc" not in box.got[0][2]
    assert len(str(box.got[0][2]["Subject"])) <= 200


def test_a_long_detail_is_cut(web: Web, message: Message, place: Place) -> None:
    assert send(web.receiver("slack"), replace(message, alert=replace(message.alert, detail="x" * 10**6)), place) == ""
    assert len(web.got[0][1]) < MAX_DETAIL + 500


def test_a_heartbeat(web: Web) -> None:
    assert beat(web.receiver("heartbeat", token="tk_1")) == ""
    [(headers, body)] = web.got
    assert (web.methods, headers["authorization"], body) == (["GET"], "Bearer tk_1", b"")
    web.status = 307
    assert beat(web.receiver("heartbeat")) == "status 307"
    reason = beat(Receiver("heartbeat", "http://127.0.0.1:1/T0KEN"))
    assert reason.startswith("ConnectionRefusedError")
    assert "T0KEN" not in reason


@pytest.mark.parametrize("status", [302, 307, 400, 404, 429, 500])
def test_a_webhook_that_refuses_is_told_without_its_url(web: Web, message: Message, place: Place, status: int) -> None:
    web.status = status
    assert send(web.receiver("slack"), message, place) == f"status {status}"
    assert len(web.got) == 1


def test_a_mail_server_that_refuses(mailbox: tuple[Mailbox, Receiver], message: Message, place: Place) -> None:
    mailbox[0].status = "451 later"
    assert send(mailbox[1], message, place) == "SMTP status 451"


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("slack", "http://127.0.0.1:1/T0KEN"),
        ("slack", "https://127.0.0.1:1/T0KEN"),
        ("slack", "http://T0KEN.invalid/"),
        ("slack", "http://127.0.0.1:99999/T0KEN"),
        ("slack", f"http://{'T0KEN' * 30}.invalid/"),
        ("mail", "smtp://127.0.0.1:1"),
    ],
)
def test_one_that_is_down_is_told_without_its_url(message: Message, place: Place, kind: str, url: str) -> None:
    reason = send(Receiver(kind, url, to="a@b.c"), message, place)
    assert reason
    assert "T0KEN" not in reason


def test_mail_to_another_host_is_encrypted_or_not_sent(
    mailbox: tuple[Mailbox, Receiver], message: Message, place: Place
) -> None:
    """The server has no STARTTLS. All of 127.0.0.0/8 is this host, but not by the name that is allowed."""
    box, receiver = mailbox
    port = receiver.url.rpartition(":")[2]
    assert send(replace(receiver, url=f"smtp://127.1:{port}"), message, place) == "SMTPNotSupportedError"
    assert box.got == []
