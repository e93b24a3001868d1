"""A receiver of traces for the tests: OTLP over HTTP, decoded by OpenTelemetry's own messages."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message


@dataclass(frozen=True)
class Span:
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    resource: dict[str, Any]


class Receiver:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.spans: list[Span] = []
        self.raw = b""
        """All that was sent, to look for what must not be in it."""
        self.tokens: set[str | None] = set()

    def take(self, body: bytes) -> None:
        self.raw += body
        for of_process in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = values(of_process.resource.attributes)
            self.spans += [span(each, resource) for scope in of_process.scope_spans for each in scope.spans]

    def wait(self, found: Callable[[Span], bool], seconds: float = 60) -> Span:
        """Give the first span that is looked for, once it has come."""
        limit = time.monotonic() + seconds
        while not (spans := [span for span in self.spans if found(span)]):
            assert time.monotonic() < limit, (
                f"it did not come, but {[(span.name, span.attributes) for span in self.spans]}"
            )
            time.sleep(0.05)
        return spans[0]


def values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def span(sent: Message, resource: dict[str, Any]) -> Span:
    kind = Message.SpanKind.Name(sent.kind).removeprefix("SPAN_KIND_").lower()
    ids = (sent.trace_id.hex(), sent.span_id.hex(), sent.parent_span_id.hex())
    return Span(sent.name, kind, *ids, values(sent.attributes), resource)


@contextmanager
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            running.tokens.add(self.headers["Authorization"])
            running.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        running = Receiver(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()
