"""Activating a release: the phases in order, each with its undo beside it.

Up to `keep` whatever fails is taken back and the old release, which never stopped, goes on serving. After it the
new release is live and what is left is tidying: a failure there is a warning.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial

from slipway import causes, lock
from slipway import prune as pruning
from slipway.errors import Interrupted, PhaseError, SlipwayError
from slipway.host import Host
from slipway.probe import Answer, ask_socket, waiting
from slipway.recover import recover
from slipway.releases import Record, now
from slipway.traffic import drain, point, stop_instance

POLL_SECONDS = 0.05
FRONT_TIMEOUT = 10
"""Seconds within which nginx must answer from the new release: nothing has to start, it only has to be asked."""


@dataclass
class Activation:
    """One run of the engine for one release."""

    host: Host
    record: Record
    before: Record
    """The record as it was when the run began."""
    old: str | None
    began: float = field(default_factory=time.time)
    """When it began (epoch seconds): what a unit said before belongs to another try."""
    flipped_at: float = 0.0
    """When traffic was pointed at the release (monotonic seconds)."""

    @property
    def release(self) -> str:
        """The release that is to become live."""
        return self.record.release

    @property
    def service(self) -> str:
        """The unit of its instance."""
        return f"app@{self.release}.service"

    @property
    def socket(self) -> str:
        """The socket unit of its instance."""
        return f"app@{self.release}.socket"

    def fail(self, what: str, unit: str) -> PhaseError:
        """An error with its cause."""
        return PhaseError(causes.explain(what, self.host.systemd, unit, since=self.began))


Step = Callable[[Activation], None]


@dataclass(frozen=True)
class Phase:
    """A named step and what takes it back."""

    name: str
    do: Step
    undo: Step | None = None


def migrate(run: Activation) -> None:
    """Run the release's migrations, if it has any. A rollback runs none: the schema stays."""
    if (
        run.record.request.get("kind") == "rollback"
        or not (run.host.releases.path(run.release) / ".slipway/release").exists()
    ):
        return
    unit = f"migrate@{run.release}.service"
    if said := run.host.systemd.start(unit, timeout=run.host.config.migrate_timeout + 30):
        raise run.fail(f"the migrations failed ({said.splitlines()[0]})", unit)


def stop_migrations(run: Activation) -> None:
    """Stop migrations that are still running; ones that have ended are not undone."""
    run.host.systemd.stop(f"migrate@{run.release}.service")


def start(run: Activation) -> None:
    """Start the instance. Its socket first: from then on requests queue whatever the service does."""
    if said := run.host.systemd.start(run.socket, run.service):
        raise run.fail(f"it did not start ({said.splitlines()[0]})", run.service)


def stop(run: Activation) -> None:
    """Stop the instance again."""
    if said := stop_instance(run.host, run.release):
        raise SlipwayError(f"{run.release} did not stop: {said}")


def probe(run: Activation) -> None:
    """Wait until the instance is ready, asking it on its own socket."""
    config, path = run.host.config, run.host.releases.socket(run.release)
    began = time.monotonic()
    deadline = began + config.start_timeout
    answer = Answer(error="it was not asked")
    while time.monotonic() < deadline:
        state = run.host.systemd.state(run.service)
        if state.crashed:
            raise run.fail(f"it crashed while starting (exit status {state.exit_status})", run.service)
        # Short at first: a request to a release that has just crashed is answered by nobody.
        patience = min(5.0, 0.5 + time.monotonic() - began)
        answer = ask_socket(path, config.ready_path, config.probe_host, timeout=patience)
        if answer.good:
            _check_version(run, path_answer=_version(run))
            return
        time.sleep(POLL_SECONDS)
    what = f"it was not ready within {config.start_timeout} s; GET {config.ready_path} said last: {answer}"
    if not answer.status and waiting(path):
        what += (
            "\nNothing takes connections from the socket that it was handed: "
            "let gunicorn use LISTEN_FDS (no --bind), or start uvicorn with --fd 3"
        )
    raise run.fail(what, run.service)


def cutover(run: Activation) -> None:
    """Point all traffic at the release."""
    point(run.host, run.release)
    run.flipped_at = time.monotonic()


def point_back(run: Activation) -> None:
    """Point all traffic at the release that had it, and let this one finish what it was given."""
    point(run.host, run.old)
    drain(run.host, run.release, since=time.monotonic())


def probe_front(run: Activation) -> None:
    """Ask through nginx, as a client does.

    For two seconds the old release may still answer some, over connections that nginx keeps.
    """
    config = run.host.config
    deadline = time.monotonic() + FRONT_TIMEOUT
    while True:
        answer = run.host.front.ask(config.front_url, config.ready_path, config.probe_host)
        if answer.good:
            return
        if time.monotonic() > deadline:
            raise run.fail(f"through nginx, GET {config.ready_path} of {config.probe_host} said: {answer}", run.service)
        time.sleep(POLL_SECONDS)


def keep(run: Activation) -> None:
    """Make it the release that is live and boots. From here on there is no way back but a rollback."""
    if run.record.request.get("kind") != "rollback":
        run.record.previous = run.old
    # Before the link: an engine that is killed between the two must not lose where a rollback goes.
    run.host.releases.save(run.record)
    run.host.releases.set_current(run.release)
    run.record.state, run.record.healthy, run.record.live_at = "live", True, now()


def keep_old(run: Activation) -> None:
    """Make the old release the one that boots again."""
    run.host.releases.set_current(run.old)
    run.record.previous, run.record.live_at = run.before.previous, run.before.live_at


def retire(run: Activation) -> None:
    """Let the old release finish what it was given, then stop it, not waiting for its long-lived answers to end."""
    if not run.old:
        return
    drain(run.host, run.old, since=run.flipped_at)
    said = stop_instance(run.host, run.old, wait=False)
    with suppress(SlipwayError):
        record = run.host.releases.record(run.old)
        record.state, record.retired_at = "retired", now()
        run.host.releases.save(record)
    if said:
        raise SlipwayError(f"{run.old} did not stop: {said}")


def prune(run: Activation) -> None:
    """Remove the releases that are too many. This one stays even if it failed: its record tells the cause."""
    pruning.prune(run.host, in_use={run.release})


UNDOABLE = (
    Phase("migrate", migrate, undo=stop_migrations),
    Phase("start", start, undo=stop),
    Phase("probe", probe),
    Phase("cutover", cutover, undo=point_back),
    Phase("probe-front", probe_front),
    Phase("keep", keep, undo=keep_old),
)
TIDYING = (Phase("retire", retire), Phase("prune", prune))


def activate(host: Host, release: str) -> Record:
    """Make a release live. Runs as the unit `deploy@<release>.service`.

    Raises:
        LockedError: another activation is running.
        PhaseError: a phase failed and everything was taken back; the message is the cause.
        Interrupted: the engine was asked to stop, and everything was taken back.
    """
    record = host.releases.record(release)
    described = {"release": release, "by": record.request.get("by"), "since": now()}
    with lock.held(host.lock_file, described), _interruptible():
        for warning in recover(host, starting=release):
            _say(f"recovered: {warning}")
        record = host.releases.record(release)
        run = Activation(host, record, before=replace(record), old=host.releases.current())
        if run.old == release:
            _end(run, "done")
            _say(f"{release} is live already: nothing to do")
            return record
        record.state, record.cause, record.phases, record.warnings = "activating", None, [], []
        record.request["state"] = "running"
        _undoable(run)
        _tidy(run)
        return record


def _undoable(run: Activation) -> None:
    done: list[Phase] = []
    try:
        for phase in UNDOABLE:
            done.append(phase)
            _run(run, phase)
    except BaseException as error:
        # Whoever asks it to stop now waits: half taken back would be worse than either end.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        cause = str(error) if isinstance(error, SlipwayError) else f"{type(error).__name__}: {error}"
        failed = run.record.phase
        _say(f"{failed} failed; taking it back\n{cause}")
        for phase in reversed(done):
            if phase.undo:
                _quietly(run, f"undo {phase.name}", phase.undo)
        run.record.state, run.record.cause = "failed", f"{failed}: {cause}"
        # Being asked to stop says nothing of the release: a rollback may go where it could go before.
        run.record.healthy = run.before.healthy and isinstance(error, Interrupted)
        _quietly(run, "prune", prune)
        _end(run, "failed")
        raise
    run.record.request["state"] = "live"
    run.host.releases.save(run.record)


def _tidy(run: Activation) -> None:
    for phase in TIDYING:
        _quietly(run, phase.name, partial(_run, phase=phase))
    _end(run, "done")


def _quietly(run: Activation, name: str, step: Step) -> None:
    """Do what must not change the outcome: a failure is said, and the next run's `recover` tries again."""
    try:
        step(run)
    except Exception as error:
        run.record.warnings.append(f"{name}: {error}")
        _say(f"warning: {name}: {error}")


def _end(run: Activation, state: str) -> None:
    run.record.phase = None
    run.record.request["state"] = state
    run.host.releases.save(run.record)


def _run(run: Activation, phase: Phase) -> None:
    run.record.phase = phase.name
    run.host.releases.save(run.record)
    began = time.monotonic()
    phase.do(run)
    seconds = round(time.monotonic() - began, 3)
    run.record.phases.append({"name": phase.name, "seconds": seconds})
    _say(f"{phase.name:<12} {seconds:.2f} s")


def _say(text: str) -> None:
    """Tell whoever follows. That nobody can be told (a journal that died) must not change the outcome."""
    with suppress(OSError):
        print(text, flush=True)


def _version(run: Activation) -> Answer | None:
    config = run.host.config
    if not config.version_path:
        return None
    return ask_socket(run.host.releases.socket(run.release), config.version_path, config.probe_host)


def _check_version(run: Activation, path_answer: Answer | None) -> None:
    told = path_answer.field("release") if path_answer and path_answer.good else None
    if told is not None and told != run.release:
        raise run.fail(
            f"it says that it is release {told!r}, not {run.release}: its `release` must be $SLIPWAY_RELEASE",
            run.service,
        )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn the first SIGTERM into an exception, so that what was begun is taken back."""

    def interrupt(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Interrupted("the engine was asked to stop")

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
