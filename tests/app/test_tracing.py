"""Traces: what a receiver gets, what it does not get, and that nobody waits for it."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Settings
from tests.app import postgres
from tests.app.broker import Broker, broker
from tests.app.receiver import Receiver, Span, receiver
from tests.app.service import ROOT, migrate, running
from tests.app.test_queue import WORKER, ask, execute, processes, within

AT_ONCE, AT_THE_END = "100", "3600000"
"""Milliseconds from one sending to the next."""

PRIVATE = "4711-of-alice"
STOP_SECONDS = 10
"""Within which a server ends whatever the receiver does: a third of its graceful timeout. Ours needs 3."""


@pytest.fixture
def traces() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def queue() -> Iterator[Broker]:
    with broker() as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_request_its_task_and_their_sql_are_one_trace(
    state: Path, queue: Broker, traces: Receiver, database: str
) -> None:
    with postgres.cluster() if database == "postgres" else nullcontext("") as url:
        env = {
            "BROKER_URL": queue.url,
            "DATABASE_URL": url,
            "SLIPWAY_RELEASE": "r1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": traces.url,
            "OTEL_BSP_SCHEDULE_DELAY": AT_ONCE,
        }
        migrate(state, DATABASE_URL=url)
        with (
            running(state, WEB_CONCURRENCY="2", **env) as service,  # type: ignore[arg-type]
            processes(state, env | {"TASK_PROCESSES": "1"}, worker=WORKER),
        ):
            # The second task of a process must not be in the first one's trace.
            one_trace(service.url, traces, state, request_id="1" * 32)
            one_trace(service.url, traces, state, request_id="2" * 32)
    ids = [span.id for span in traces.spans]
    assert len(ids) == len(set(ids)), "each is sent once"


def one_trace(url: str, traces: Receiver, state: Path, request_id: str) -> None:
    slug = httpx.post(f"{url}/links", json={"url": "https://example.org/"}).json()["slug"]
    answer = httpx.post(f"{url}/links/{slug}/qr", headers={"X-Request-ID": request_id})
    assert answer.status_code == 202

    task = traces.wait(lambda span: span.kind == "consumer" and span.attributes["request_id"] == request_id)
    request = traces.wait(lambda span: span.kind == "server" and span.attributes["request_id"] == request_id)
    trace = [span for span in traces.spans if span.trace == request.trace]
    [sending] = [span for span in trace if span.kind == "producer"]
    assert [span for span in trace if span.kind == "consumer"] == [task]
    assert (request.parent, sending.parent, task.parent) == ("", request.id, sending.id)
    assert (request.name, task.name) == ("POST /links/{slug}/qr", "run/app.tasks.make_qr")
    assert request.attributes["http.response.status_code"] == 202
    assert statements(trace, of=request) >= {"SELECT", "INSERT"}
    assert statements(trace, of=task) == {"UPDATE"}
    assert task.resource["process.pid"] != request.resource["process.pid"]
    assert {span.resource["service.version"] for span in trace} == {"r1"}

    lines = [line for log in state.glob("*.log") for line in logged(log) if line.get("request_id") == request_id]
    assert "picture made" in {line["message"] for line in lines}
    assert {line["trace_id"] for line in lines} == {request.trace}


def statements(trace: list[Span], of: Span) -> set[str]:
    """Give the first word of each statement below a span."""
    texts = [s.attributes["db.query.text"] for s in trace if s.parent == of.id and "db.query.text" in s.attributes]
    assert len(texts) == len(set(texts)), "a statement has one span"
    return {text.split()[0] for text in texts}


def logged(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


@pytest.mark.slow
def test_nothing_private_is_sent(state: Path, queue: Broker, traces: Receiver) -> None:
    """Not even by the message of an error, which for SQL repeats the values."""
    env = {"BROKER_URL": queue.url, "OTEL_EXPORTER_OTLP_ENDPOINT": traces.url, "OTEL_BSP_SCHEDULE_DELAY": AT_ONCE}
    headers = dict.fromkeys(["User-Agent", "Authorization", "Cookie", "X-Forwarded-For"], PRIVATE) | {
        "Connection": "close"
    }
    new = {"url": f"https://example.org/{PRIVATE}"}
    with (
        running(state, WEB_CONCURRENCY="1", **env) as service,  # type: ignore[arg-type]
        httpx.Client(base_url=service.url, headers=headers, params={"token": PRIVATE}) as client,
        processes(state, env, worker=WORKER),
    ):
        slug = client.post("/links", json=new).json()["slug"]
        for change in ("INSERT ON links", "UPDATE ON qr_codes"):
            refuse = f"CREATE TRIGGER refuse_{change[:6]} BEFORE {change} BEGIN SELECT RAISE(ABORT, '{PRIVATE}'); END"
            asyncio.run(execute(Settings(state_directory=state), refuse))
        assert client.post("/links", json=new).status_code == 500
        assert client.post(f"/links/{slug}/qr").status_code == 202
        request = traces.wait(lambda span: span.attributes.get("http.response.status_code") == 500)
        task = traces.wait(lambda span: span.attributes.get("celery.state") == "FAILURE")
        for span, log in ((request, service.log), (task, state / "worker.log")):
            # The log has what the span lacks.
            within(10, lambda: any(
                PRIVATE in line.get("exception", "") and line.get("trace_id") == span.trace for line in logged(log)  # noqa: B023
            ), state)  # fmt: skip
    assert b"INSERT INTO links" in traces.raw
    assert b"sqlalchemy.exc.IntegrityError" in traces.raw
    assert PRIVATE.encode() not in traces.raw


@pytest.mark.parametrize("endpoint", ["", " "])
def test_without_an_endpoint_no_sdk_is_imported(state: Path, endpoint: str) -> None:
    """FastAPI imports OpenTelemetry's API by itself, which does nothing without an SDK."""
    code = (
        "import asyncio, sys, app.tasks; from app.main import app, lifespan\n"
        "async def main():\n"
        "    async with lifespan(app): print('opentelemetry.sdk' in sys.modules)\n"
        "asyncio.run(main())"
    )

    def imported(endpoint: str) -> str:
        env = {
            "STATE_DIRECTORY": str(state),
            "BROKER_URL": "redis://localhost",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        }
        return subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=env, text=True).split()[-1]

    assert imported(endpoint) == "False"
    assert imported("http://127.0.0.1:9") == "True", "this test looks for the right name"


def test_a_server_sends_what_is_left_at_its_end(state: Path, traces: Receiver) -> None:
    with running(
        state,
        WEB_CONCURRENCY="2",
        OTEL_EXPORTER_OTLP_ENDPOINT=traces.url,
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20token",
        OTEL_BSP_SCHEDULE_DELAY=AT_THE_END,
    ) as service:
        for _ in range(20):
            httpx.get(f"{service.url}/days")
        assert not traces.spans
        assert service.stop() == 0
    assert sum(span.name == "GET /days" for span in traces.spans) == 20
    assert traces.tokens == {"Bearer token"}


@pytest.mark.slow
def test_a_worker_of_tasks_sends_what_is_left_at_its_end(state: Path, queue: Broker, traces: Receiver) -> None:
    env = {"BROKER_URL": queue.url, "OTEL_EXPORTER_OTLP_ENDPOINT": traces.url, "OTEL_BSP_SCHEDULE_DELAY": AT_THE_END}
    with running(state, BROKER_URL=queue.url) as service, processes(state, env, worker=WORKER) as fleet:
        slug = ask(service)
        within(120, lambda: httpx.get(f"{service.url}/links/{slug}/qr.png").status_code == 200, state)
        assert not traces.spans
        assert fleet["worker"].stop() == 0
    assert [span.name for span in traces.spans if span.kind == "consumer"] == ["run/app.tasks.make_qr"]


@pytest.mark.slow
@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "is silent"])
def test_a_receiver_that_is_down_holds_nobody_up(state: Path, silent: bool) -> None:
    with socket.socket() as down:
        down.bind(("127.0.0.1", 0))
        if silent:
            down.listen()  # takes connections, and never says a word
        with (
            running(
                state,
                WEB_CONCURRENCY="1",
                OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{down.getsockname()[1]}",
                OTEL_BSP_SCHEDULE_DELAY=AT_ONCE,
                OTEL_BSP_MAX_QUEUE_SIZE="64",
                OTEL_BSP_MAX_EXPORT_BATCH_SIZE="8",
            ) as service,
            httpx.Client(base_url=service.url) as client,
        ):
            slowest = 0.0
            for _ in range(500):
                began = time.monotonic()
                assert client.get("/days").status_code == 200
                slowest = max(slowest, time.monotonic() - began)
            assert "Queue full, dropping Span." in service.logged(), "more was made than may wait"
            # A request that waited for the receiver would take ten seconds; ours takes milliseconds.
            assert slowest < 5
            began = time.monotonic()
            assert service.stop() == 0
            assert time.monotonic() - began < STOP_SECONDS
