"""OpenTelemetry's part of `app.tracing`, which imports it only where traces are on."""

import os
import threading
from collections.abc import Mapping, Sequence

import requests  # noqa: F401 -- the exporter does, but after the fork: 4 MB in each process
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Status
from opentelemetry.util.types import AttributeValue

from app.database import Database

# The first instrumentation reads it. Without it attributes have the names that OpenTelemetry has replaced.
os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "database")

FLUSH_SECONDS = 2
"""How long a process that ends waits for the receiver."""

PRIVATE = frozenset({"url.query", "exception.message", "exception.stacktrace"})
"""Attributes that are not sent. The message of a database's error repeats the values of its statement; the log has it,
with the trace's id. Headers, clients' addresses and values of SQL are no attributes; paths are."""


class Exporter(OTLPSpanExporter):
    """OpenTelemetry's, without what is private. It runs in a thread of its own, so no request waits for it."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans. Those that a receiver does not take are lost, and the log says so."""
        return super().export([_public(span) for span in spans])


def instrument_tasks() -> None:
    """Make a span of each task, and one of its sending."""
    from opentelemetry.instrumentation.celery import CeleryInstrumentor  # only where there is a queue

    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]


def start(database: Database, release: str) -> None:
    """Begin to send, once in a process."""
    own = Resource({"service.name": "app", "service.version": release, "process.pid": os.getpid()})
    resource = Resource.create(own.merge(OTELResourceDetector().detect()).attributes)  # the environment's names win
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Exporter()))
    trace.set_tracer_provider(provider)
    # On PostgreSQL both are one, and instrumented twice it would make a second span, which never ends.
    engines = {database.reader.sync_engine, database.writer.sync_engine}
    # The instrumentation promises nothing for SQLAlchemy 2.1: tests/app/test_tracing.py shows that it works.
    SQLAlchemyInstrumentor().instrument(engines=list(engines), skip_dep_check=True)


def mark(request_id: str | None) -> str:
    """Put the request's id on the current span, and give the trace's."""
    span = trace.get_current_span()
    if request_id:
        span.set_attribute("request_id", request_id)
    return trace.format_trace_id(span.get_span_context().trace_id)


def stop() -> None:
    """Send what is left. What the receiver has not taken in time is lost."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        # By itself it waits for half a minute, longer than a server may take to end.
        flush = threading.Thread(target=provider.shutdown, daemon=True)
        flush.start()
        flush.join(FLUSH_SECONDS)


def _public(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_kept(span.attributes),
        events=[Event(event.name, _kept(event.attributes), event.timestamp) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),  # its description is an exception's message
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _kept(attributes: Mapping[str, AttributeValue] | None) -> dict[str, AttributeValue]:
    return {name: value for name, value in (attributes or {}).items() if name not in PRIVATE}
