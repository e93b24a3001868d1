"""The processes of the task queue, `celery --app app.tasks worker` and `beat`: their settings, logs, health, database.

Imported only where there is a broker (see `app.queue`): Celery costs a process memory.
"""

import asyncio
import contextvars
import functools
import logging.config
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from celery import Celery, Task, beat, signals

from app import request_id, tracing
from app.database import Database
from app.settings import Settings
from server import logs, sizing

T = TypeVar("T")
settings = Settings.load()
if settings.broker_url is None:
    raise SystemExit("error: there is no queue to work for: set BROKER_URL, for example to redis://localhost/0")

LOST_AFTER = 3 * settings.task_seconds
"""Seconds after which a task that nobody reported as done is sent again. A process holds one that runs and at most one
that waits behind it; both have ended after two time limits, one way or the other. The third is for slow machines."""

ALIVE = Path(tempfile.gettempdir()) / "celery-alive"
"""Touched by a worker or beat whose loop runs, every few seconds: its age is their health. To ask over the broker
(`celery inspect ping`) would start a Python each time, for a second of CPU."""


class BaseTask(Task[Any, Any]):
    """What every task is."""

    abstract = True
    Request = "app.acknowledge:Request"


celery = Celery("app", task_cls=BaseTask)
celery.conf.update(
    broker_url=settings.broker_url.get_secret_value(),
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "visibility_timeout": LOST_AFTER,
        # How often lost tasks are looked for, and how long a worker that dies while it looks keeps others from it.
        "unacked_restore_interval": settings.task_seconds,
        "unacked_restore_throttle": 1,
        "unacked_mutex_expire": settings.task_seconds,
        # The sender, a request, waits for the broker no longer.
        "socket_connect_timeout": 2,
        "socket_timeout": 5,
        "socket_keepalive": True,
    },
    task_acks_late=True,  # acknowledged after the work, not before
    task_reject_on_worker_lost=True,  # and not when its process was killed, for want of memory say
    task_time_limit=settings.task_seconds,
    task_ignore_result=True,  # the database has it
    task_publish_retry=False,  # `app.tasks.resend` does, without keeping a request waiting
    worker_prefetch_multiplier=1,  # what waits behind a long task here could be run by another worker
    # Celery would count the machine's CPUs, not those that this process may use.
    worker_concurrency=settings.task_processes or sizing.plan({"WORKLOAD": "cpu"}).workers,
    worker_enable_prefetch_count_reduction=False,  # counts on Celery's own `acknowledge`
    worker_enable_remote_control=False,
    beat_scheduler="app.worker:Scheduler",
    beat_max_loop_interval=5,
)


class Scheduler(beat.Scheduler):
    """Celery's, without its file: what is periodic here may as well run once more after a restart."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due."""
        ALIVE.touch()
        return float(super().tick(*args, **kwargs))


@signals.heartbeat_sent.connect
def _alive(**_: Any) -> None:
    ALIVE.touch()


@signals.setup_logging.connect
def _log_as_the_server_does(**_: Any) -> None:
    logging.config.dictConfig(logs.CONFIG)
    request_id.mark_log_records()


@signals.before_task_publish.connect
def _send_request_id(headers: dict[str, Any], **_: Any) -> None:
    headers["request_id"] = request_id.current.get()


tracing.instrument_tasks()  # its handler, which begins the task's span, comes before the next one


@signals.task_prerun.connect
def _take_request_id(task: Task[Any, Any], **_: Any) -> None:
    value = task.request.get("request_id")
    request_id.current.set(value)
    tracing.mark(value)


@signals.worker_process_init.connect
def _open(**_: Any) -> None:
    tracing.start(_process()[1], settings.slipway_release)


@functools.cache
def _process() -> tuple[asyncio.Runner, Database]:
    """Give what a process has to work with; made when it starts, so after the fork."""
    return asyncio.Runner(), Database(settings.model_copy(update={"database_connections": 1, "web_concurrency": 1}))


def run(work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
    """Do a task's work on this process's own event loop and connection."""
    runner, database = _process()
    # The runner's own context is that of its first task, whose ids would be in the lines and spans of all others.
    return runner.run(work(database), context=contextvars.copy_context())


@signals.worker_process_shutdown.connect
def _close(**_: Any) -> None:
    if _process.cache_info().currsize:
        runner, database = _process()
        runner.run(database.close())
        runner.close()
        tracing.stop()
