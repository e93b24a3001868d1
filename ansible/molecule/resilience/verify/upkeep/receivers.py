"""On the host: a webhook and what takes heartbeats on port 8025, and a mail server on port 2525, which write what they get to a file."""

import json
import sys
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

FILE = Path(sys.argv[1])


def write(**values: str) -> None:
    with FILE.open("a") as file:
        file.write(json.dumps(values) + "\n")


class Webhook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        write(by=self.path.split("/")[1], body=body)
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:
        write(by=self.path.split("/")[1], body="")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        pass


class Mail:
    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        mail = message_from_bytes(envelope.content, policy=policy.default)
        write(by="mail", body=f"{mail['Subject']}\n{mail.get_content()}")
        return "250 OK"


Controller(Mail(), hostname="127.0.0.1", port=2525).start()
HTTPServer(("127.0.0.1", 8025), Webhook).serve_forever()
