"""The task queue: pictures that are made once, whatever is killed meanwhile."""

import asyncio
import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import segno
from pydantic import SecretStr
from sqlalchemy import CursorResult, text

from app.database import Database
from app.settings import Settings
from tests.app import postgres
from tests.app.broker import Broker, broker
from tests.app.service import ROOT, Service, migrate, running

pytestmark = pytest.mark.alone

URL = "https://example.org/"
CELERY = (sys.executable, "-m", "celery", "--app")
WORKER = (*CELERY, "app.tasks", "worker", "--without-gossip", "--without-mingle")
BEAT = (*CELERY, "app.tasks", "beat")
OLD_WORKER = (*CELERY, "tests.app.old_release", "worker", "--without-gossip", "--without-mingle", "--concurrency=1")

TASK_SECONDS = "2"
"""So that what is lost is sent again after six seconds, and not after a minute and a half."""

STOP_SECONDS = 20
"""How long a worker may take to end. Ours, when nothing was killed, needs 3; systemd gives it
`app_process_stop_timeout`, and then kills it, which loses no task."""

PICTURES = 500
HAVOC = {"process": 8, "worker": 5, "broker": 3}
"""How many are killed: processes that run a task, whole workers with all of theirs, the broker."""


@pytest.fixture
def queue() -> Iterator[Broker]:
    with broker() as running:
        yield running


class Process:
    """A worker or beat that is started again when it ends, as systemd and Compose do."""

    def __init__(self, log: Path, command: tuple[str, ...], env: dict[str, str]) -> None:
        self.log, self.command, self.env = log, command, env
        self.starts = 0
        self.start()

    def start(self) -> None:
        self.starts += 1
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env={**os.environ, **self.env},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def keep(self) -> None:
        if self.process.poll() is not None:
            self.start()

    def children(self) -> list[int]:
        try:
            return [
                int(pid)
                for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            ]
        except OSError:
            return []

    def kill(self) -> None:
        """With all of its own, as systemd and the kernel kill a unit or a container."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def stop(self) -> int:
        """As systemd and Compose do: who has not ended in time is killed. Give the exit status, negative for a signal."""
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        self.kill()  # what a killed worker has left behind, too
        return self.process.wait()


@contextmanager
def processes(state: Path, env: dict[str, str], **commands: tuple[str, ...]) -> Iterator[dict[str, Process]]:
    own = {"STATE_DIRECTORY": str(state), "TMPDIR": str(state), "TASK_SECONDS": TASK_SECONDS, "TASK_PROCESSES": "2"}
    started = {name: Process(state / f"{name}.log", command, own | env) for name, command in commands.items()}
    try:
        yield started
    finally:
        with ThreadPoolExecutor() as pool:
            list(pool.map(Process.stop, started.values()))


def ask(service: Service) -> str:
    """Make a link, and ask for its picture."""
    slug = httpx.post(f"{service.url}/links", json={"url": URL}).json()["slug"]
    asked = httpx.post(f"{service.url}/links/{slug}/qr")
    assert asked.status_code == 202
    assert asked.headers["location"] == f"/links/{slug}/qr.png"
    assert asked.json() == {"url": f"/links/{slug}/qr.png", "status": "pending"}
    return str(slug)


def within(seconds: float, done: Callable[[], bool], logs: Path) -> None:
    """Wait for it. On a machine with nothing else to do it takes a tenth of the time that the tests give it."""
    limit = time.monotonic() + seconds
    while not done():
        if time.monotonic() > limit:
            raise AssertionError("\n".join(f"== {log.name}\n{log.read_text()[-4000:]}" for log in logs.glob("*.log")))
        time.sleep(0.2)


def test_without_a_broker_a_picture_is_a_problem_that_says_what_to_set(service: Service) -> None:
    slug = httpx.post(f"{service.url}/links", json={"url": URL}).json()["slug"]
    for answer in (httpx.post(f"{service.url}/links/{slug}/qr"), httpx.get(f"{service.url}/links/{slug}/qr.png")):
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert "set BROKER_URL" in answer.json()["detail"]
    assert httpx.get(f"{service.url}/days").json() == []


def test_without_a_broker_nothing_of_the_queue_is_imported(state: Path) -> None:
    """Each worker would pay for it."""
    code = (
        "import asyncio, sys; from app.main import app, lifespan\n"
        "async def main():\n"
        "    async with lifespan(app): print(*sorted({'celery', 'kombu', 'segno'} & sys.modules.keys()))\n"
        "asyncio.run(main())"
    )
    env = {"STATE_DIRECTORY": str(state)}
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=env, text=True) == "\n"
    with_broker = subprocess.check_output(
        [sys.executable, "-c", code], cwd=ROOT, env=env | {"BROKER_URL": "redis://localhost"}, text=True
    )
    assert with_broker == "celery kombu segno\n", "this test looks for the right names"


def test_a_worker_without_a_broker_says_what_to_set(state: Path) -> None:
    done = subprocess.run(
        WORKER, cwd=ROOT, env={"STATE_DIRECTORY": str(state)}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "set BROKER_URL" in done.stdout + done.stderr


@pytest.mark.slow
def test_a_picture_is_asked_for_made_and_fetched(state: Path, queue: Broker) -> None:
    env = {"BROKER_URL": queue.url}
    with running(state, WEB_CONCURRENCY="2", BROKER_URL=queue.url) as service:
        slug = ask(service)
        address = f"{service.url}/links/{slug}/qr.png"
        pending = httpx.get(address)
        assert (pending.status_code, pending.headers["retry-after"], pending.json()["status"]) == (202, "1", "pending")
        assert httpx.get(f"{service.url}/links/aaaaaaaa/qr.png").status_code == 404
        assert httpx.post(f"{service.url}/links/aaaaaaaa/qr").status_code == 404

        began = time.time()
        with processes(state, env, worker=WORKER) as fleet:
            within(120, lambda: httpx.get(address).status_code == 200, state)
            picture = httpx.get(address)
            assert picture.headers["content-type"] == "image/png"
            expected = io.BytesIO()
            segno.make(f"{service.url}/{slug}", micro=False).save(expected, kind="png", scale=8)
            assert picture.content == expected.getvalue()
            assert httpx.post(address.removesuffix(".png")).json()["status"] == "done"

            httpx.get(f"{service.url}/{slug}")
            own = {**os.environ, **env, "STATE_DIRECTORY": str(state)}
            for _ in range(2):  # the second time changes nothing
                subprocess.run((*CELERY, "app.tasks", "call", "app.tasks.roll_up"), cwd=ROOT, env=own, check=True)
            days = [{"day": datetime.now(UTC).date().isoformat(), "links": 1, "clicks": 1}]
            within(120, lambda: httpx.get(f"{service.url}/days").json() == days, state)
            assert (state / "celery-alive").stat().st_mtime > began
            assert fleet["worker"].stop() == 0, "it ends by itself when it is told to"


def test_a_picture_that_cannot_be_made_is_given_up(state: Path, queue: Broker) -> None:
    with running(state, BROKER_URL=queue.url) as service:
        slug = ask(service)
        address = f"{service.url}/links/{slug}/qr.png"
        asyncio.run(execute(Settings(state_directory=state), "UPDATE qr_codes SET tries = 10"))
        answer = httpx.get(address)
        assert answer.status_code == 500
        assert "tried 10 times" in answer.json()["detail"]
        assert httpx.post(address.removesuffix(".png")).status_code == 202
        assert httpx.get(address).status_code == 202


async def execute(settings: Settings, *statements: str) -> list[tuple[int, ...]]:
    """Run some SQL; give the rows of the last statement, if it has any."""
    database = Database(settings)
    try:
        async with database.write() as session:
            for statement in statements:
                result = await session.execute(text(statement))
            return [tuple(row) for row in result] if isinstance(result, CursorResult) and result.returns_rows else []
    finally:
        await database.close()


@pytest.mark.slow
def test_a_worker_goes_on_when_the_broker_has_restarted(state: Path, queue: Broker) -> None:
    """With more tasks than it takes at a time: one that it cannot report as done keeps its place for good."""
    env = {"BROKER_URL": queue.url}
    with running(state, BROKER_URL=queue.url) as service, processes(state, env, worker=WORKER) as fleet:
        for restarts in range(2):
            if restarts:
                queue.kill()
                queue.start()
            for slug in [ask(service) for _ in range(8)]:
                within(120, lambda slug=slug: httpx.get(f"{service.url}/links/{slug}/qr.png").status_code == 200, state)  # type: ignore[misc]
            within(120, lambda: not queue.client.hlen("unacked"), state)
        assert fleet["worker"].process.poll() is None
        assert "raised exception" not in (state / "worker.log").read_text()


@pytest.mark.slow
def test_a_task_that_the_older_release_does_not_know_is_not_lost(state: Path, queue: Broker) -> None:
    env = {"BROKER_URL": queue.url}
    with running(state, BROKER_URL=queue.url) as service:
        with processes(state, env, old=OLD_WORKER):
            slugs = [ask(service) for _ in range(3)]
            within(120, lambda: (state / "old.log").read_text().count("unregistered task") == 3, state)
        assert queue.client.llen("celery") == 0, "the older release has taken them, and thrown them away"
        with processes(state, env, worker=WORKER, beat=BEAT):
            for slug in slugs:
                within(120, lambda slug=slug: httpx.get(f"{service.url}/links/{slug}/qr.png").status_code == 200, state)  # type: ignore[misc]


@pytest.mark.slow
def test_each_of_500_pictures_is_made_once_while_workers_and_the_broker_are_killed(state: Path, queue: Broker) -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    killed = dict.fromkeys(HAVOC, 0)

    with ExitStack() as stack:
        url = stack.enter_context(postgres.cluster())
        env = {"BROKER_URL": queue.url, "DATABASE_URL": url}
        settings = Settings(database_url=SecretStr(url))
        migrate(state, DATABASE_URL=url)
        # What is counted is the effect: each time that a picture is written, whoever does it.
        asyncio.run(
            execute(
                settings,
                "CREATE TABLE effects (digest text)",
                "CREATE FUNCTION effect() RETURNS trigger LANGUAGE plpgsql AS "
                "$$BEGIN INSERT INTO effects VALUES (NEW.digest); RETURN NULL; END$$",
                "CREATE TRIGGER effect AFTER UPDATE OF picture ON qr_codes FOR EACH ROW EXECUTE FUNCTION effect()",
            )
        )
        service = stack.enter_context(running(state, WEB_CONCURRENCY="2", BROKER_URL=queue.url, DATABASE_URL=url))
        fleet = stack.enter_context(processes(state, env, one=WORKER, two=WORKER, beat=BEAT))
        over = threading.Event()

        def havoc() -> None:
            for kind in chance.sample(list(HAVOC), counts=list(HAVOC.values()), k=sum(HAVOC.values())):
                if over.wait(chance.uniform(0.3, 1.2)):
                    return
                worker = fleet[chance.choice(["one", "two"])]
                if kind == "broker":
                    queue.kill()
                    over.wait(0.5)
                    queue.start()
                elif kind == "worker":
                    worker.kill()
                elif children := worker.children():
                    os.kill(chance.choice(children), signal.SIGKILL)
                killed[kind] += 1
                for process in fleet.values():
                    process.keep()

        async def all_asked() -> None:
            async def client(count: int) -> None:
                async with httpx.AsyncClient(base_url=service.url, timeout=30) as http:
                    for _ in range(count):
                        slug = (await http.post("/links", json={"url": URL})).json()["slug"]
                        assert (await http.post(f"/links/{slug}/qr")).status_code == 202

            await asyncio.gather(*(client(PICTURES // 10) for _ in range(10)))

        def counts() -> tuple[int, ...]:
            effects = "SELECT (SELECT count(*) FROM qr_codes), count(*), count(DISTINCT digest) FROM effects"
            return asyncio.run(execute(settings, effects))[0]

        within(120, lambda: all(fleet[name].children() for name in ("one", "two")), state)
        thread = threading.Thread(target=havoc)
        thread.start()
        try:
            began = time.monotonic()
            asyncio.run(all_asked())
            within(300, lambda: counts()[2] == PICTURES, state)
            took = time.monotonic() - began
        finally:
            over.set()
            thread.join()
        for process in fleet.values():
            process.keep()
        time.sleep(1)  # for one that would do it a second time
        print(f"seed {seed}, killed {killed}, {took:.1f} s")
        assert counts() == (PICTURES, PICTURES, PICTURES), f"seed {seed}"
        assert min(killed.values()) >= 1, "nothing was killed, so this proved nothing"
