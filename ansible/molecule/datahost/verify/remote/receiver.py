"""On the data host: a webhook on port 8025, which writes what it gets to a file."""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

FILE = Path(sys.argv[1])


class Webhook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with FILE.open("a") as file:
            file.write(body + "\n")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        pass


HTTPServer(("127.0.0.1", 8025), Webhook).serve_forever()
