"""Traces by OpenTelemetry: from the request, through the queue, to the SQL.

Off, and none of its SDK imported, unless `OTEL_EXPORTER_OTLP_ENDPOINT` names a receiver (OTLP over HTTP). The SDK reads
the other `OTEL_*` variables itself. FastAPI makes the spans of requests as soon as there is somebody who takes them.
"""

import os
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.database import Database

ENABLED = any(
    os.environ.get(name, "").strip() for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
)
if ENABLED:
    from app import spans  # before the fork, so that the processes share it

current: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""The trace to which the request or task belongs."""


def instrument_tasks() -> None:
    """Make a span of each task, in the trace of the request that sent it."""
    if ENABLED:
        spans.instrument_tasks()


def start(database: "Database", release: str) -> None:
    """Send the spans of this process, and make some of the database's statements. Call it after the fork.

    They leave by a thread, and a fork takes none along.
    """
    if ENABLED:
        spans.start(database, release)


def mark(request_id: str | None) -> None:
    """Lead from the current span to the log's lines by the request's id, and from the lines to it by the trace's."""
    if ENABLED:
        current.set(spans.mark(request_id))


def stop() -> None:
    """Send what is left, for a moment at most. Call it last: a receiver that is down must hold nothing else up."""
    if ENABLED:
        spans.stop()
