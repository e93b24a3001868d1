"""Activating a release: the phases in order.

Up to `keep` whatever fails is taken back and the old release, which never stopped, goes on serving. After it the
new release is live and what is left is tidying: a failure there is a warning.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from slipway import audit, decision, lock, phases
from slipway.errors import Interrupted, LockedError, SlipwayError
from slipway.host import Host
from slipway.phases import Activation
from slipway.recover import recover
from slipway.releases import Record, now

LOOK_SECONDS = 0.1
Step = Callable[[Activation], None]


@dataclass(frozen=True)
class Phase:
    """A named step and what takes it back."""

    name: str
    do: Step
    undo: Step | None = None
    when: Callable[[Activation], bool] = lambda _run: True
    """Whether this activation has it."""


def _migrates(run: Activation) -> bool:
    return run.migrates


def _watches(run: Activation) -> bool:
    return run.watch is not None


def _hands_over(run: Activation) -> bool:
    return run.hands_over


def _holds(run: Activation) -> bool:
    return run.is_held


UNDOABLE = (
    Phase("migrate", phases.migrate, undo=phases.stop_migrations, when=_migrates),
    Phase("start", phases.start, undo=phases.stop),
    Phase("probe", phases.probe),
    Phase("canary", phases.canary, undo=phases.point_back, when=_watches),
    Phase("watch-canary", phases.watch_canary, when=_watches),
    Phase("hand-over", phases.hand_over, undo=phases.hand_back, when=_hands_over),
    Phase("cutover", phases.cutover, undo=phases.point_back),
    Phase("probe-front", phases.probe_front),
    Phase("watch", phases.watch, when=_watches),
    Phase("complete", phases.complete, when=_watches),
    Phase("hold", phases.hold, when=_holds),
    Phase("keep", phases.keep, undo=phases.keep_old),
)
TIDYING = (Phase("retire", phases.retire), Phase("prune", phases.prune))


def activate(host: Host, release: str) -> Record:
    """Make a release live. Runs as the unit `deploy@<release>.service`.

    Raises:
        LockedError: another activation is running.
        PhaseError: a phase failed and everything was taken back; the message is the cause.
        Interrupted: the engine was asked to stop, and everything was taken back.
    """
    record = host.releases.record(release)
    with _locked(host, record):
        # Whoever asks this to stop kills it, and what is half mended is mended by ExecStopPost.
        for warning in recover(host, starting=release):
            _say(f"recovered: {warning}")
        with _interruptible(partial(decision.reason, host, release)):
            return _activate(host, release)


def _activate(host: Host, release: str) -> Record:
    record = host.releases.record(release)
    run = Activation.begin(host, record)
    if run.old == release:
        _end(run, "done")
        _say(f"{release} is live already: nothing to do")
        return record
    record.state, record.cause, record.phases, record.warnings = "activating", None, [], []
    record.request |= {"state": "running", "before": run.old}
    _undoable(run)
    _tidy(run)
    return record


@contextmanager
def _locked(host: Host, record: Record) -> Iterator[None]:
    asked = record.request
    described = {"release": record.release, "by": asked.get("by"), "from": asked.get("from"), "since": now()}
    # What is mended is soon over, and whoever asked may not have seen it: the killed one was gone, this not there yet.
    while (lock.holder(host.lock_file) or {}).get("release") == lock.MENDS:
        time.sleep(LOOK_SECONDS)
    with ExitStack() as stack:
        try:
            stack.enter_context(lock.held(host.lock_file, described, asked.get("lock_wait", 0)))
        except LockedError as error:
            record.request["state"], record.cause = "failed", f"lock: {error}"
            host.releases.save(record)
            audit.activation(host, record, "refused", seconds=0, old=host.releases.current())
            raise
        yield


def _undoable(run: Activation) -> None:
    done: list[Phase] = []
    try:
        for phase in (phase for phase in UNDOABLE if phase.when(run)):
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
        _quietly(run, "prune", phases.prune)
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
    decision.forget(run.host, run.release)
    _say(audit.activation(run.host, run.record, state, seconds=time.time() - run.began, old=run.old))


def _run(run: Activation, phase: Phase) -> None:
    run.record.phase = phase.name
    run.host.releases.save(run.record)
    run.saw, at, began = None, now(), time.monotonic()
    try:
        phase.do(run)
    finally:
        entry = {"name": phase.name, "at": at, "seconds": round(time.monotonic() - began, 3)}
        run.record.phases.append(entry | ({"saw": run.saw} if run.saw else {}))
    _say(f"{phase.name:<12} {entry['seconds']:.2f} s{_shown(run.saw)}")


def _shown(saw: dict[str, Any] | None) -> str:
    if not saw:
        return ""
    of = {name: f"{pair['new']['bad']} of {pair['new']['tries']}" for name, pair in saw.items()}
    return f"  {of['traffic']} requests failed, {of['asked']} of our own"


def _say(text: str) -> None:
    """Tell whoever follows. That nobody can be told (a journal that died) must not change the outcome."""
    with suppress(OSError):
        print(text, flush=True)


@contextmanager
def _interruptible(reason: Callable[[], str]) -> Iterator[None]:
    """Turn the first SIGTERM into an exception, so that what was begun is taken back."""

    def interrupt(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Interrupted(reason())

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
