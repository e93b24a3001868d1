"""Activating a release: the phases in order.

Up to `keep` any failure aborts the activation: the phases are undone, and the old release, which never stopped, goes on
serving. After it the new release is live and the rest is tidying: a failure there is a warning.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from slipway.engine import audit, decision, lock, phases
from slipway.engine.activation import Activation
from slipway.engine.errors import Interrupted, LockedError
from slipway.engine.host import Host
from slipway.engine.lock import Holder, Purpose
from slipway.engine.recover import recover
from slipway.engine.releases import now
from slipway.model.errors import SlipwayError
from slipway.model.record import PhaseRun, Record, Request
from slipway.model.states import ActivationState, ReleaseState

POLL_SECONDS = 0.1
Step = Callable[[Activation], None]


@dataclass(frozen=True)
class Phase:
    """A named step and its undo."""

    name: str
    do: Step
    undo: Step | None = None
    when: Callable[[Activation], bool] = lambda _run: True
    """Whether this activation has the phase."""


def _migrates(run: Activation) -> bool:
    return run.migrates


def _backs_up(run: Activation) -> bool:
    return run.backs_up


def _watches(run: Activation) -> bool:
    return run.watch is not None


def _hands_over(run: Activation) -> bool:
    return run.hands_over


def _holds(run: Activation) -> bool:
    return run.is_held


UNDOABLE = (
    Phase("backup", phases.backup, undo=phases.stop_backup, when=_backs_up),
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
        PhaseError: a phase failed and the activation was aborted; the message is the cause.
        Interrupted: SIGTERM ended the engine, and the activation was aborted.
    """
    record = host.releases.record(release)
    with _locked(host, record):
        # Until here SIGTERM ends this process; ExecStopPost mends the host.
        for mended in recover(host, starting=release):
            _log(f"recovered: {mended}")
        with _interruptible(partial(decision.reason, host, release)):
            return _activate(host, release)


def _activate(host: Host, release: str) -> Record:
    record = host.releases.record(release)
    record.reopen()
    run = Activation.begin(host, record)
    if run.old == release:
        _end(run, ActivationState.DONE)
        _log(f"{release} is live already: nothing to do")
        return record
    record.become(ReleaseState.ACTIVATING)
    record.cause, record.snapshot, record.phases, record.warnings = None, None, [], []
    record.advance(ActivationState.RUNNING)
    record.request = replace(run.request, replaces=run.old)
    _undoable(run)
    _tidy(run)
    return record


@contextmanager
def _locked(host: Host, record: Record) -> Iterator[None]:
    request = record.request or Request(by=record.shipped_by)
    owner = Holder(release=record.release, by=request.by, origin=request.origin, since=now())
    began = time.monotonic()
    # A recovery is soon over, and the client may not have seen it: when the client looked, the killed engine was gone
    # and the recovery had not begun.
    while (holder := lock.holder(host.lock_file)) and holder.purpose is Purpose.RECOVER:
        time.sleep(POLL_SECONDS)
    with ExitStack() as stack:
        try:
            stack.enter_context(lock.held(host.lock_file, owner, request.lock_wait))
        except LockedError as error:
            record.reopen()
            record.advance(ActivationState.FAILED)
            record.cause = f"lock: {error}"
            host.releases.save(record)
            audit.activation(host, record, "refused", time.monotonic() - began, old=host.releases.current())
            raise
        yield


def _undoable(run: Activation) -> None:
    begun: list[Phase] = []
    try:
        for phase in (phase for phase in UNDOABLE if phase.when(run)):
            begun.append(phase)
            _run(run, phase)
    except BaseException as error:
        # A second SIGTERM waits: phases that are half undone would be worse than either end.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        cause = str(error) if isinstance(error, SlipwayError) else f"{type(error).__name__}: {error}"
        failed = run.record.phase
        _log(f"{failed} failed; undoing the phases\n{cause}")
        for phase in reversed(begun):
            if phase.undo:
                _best_effort(run, f"undo {phase.name}", phase.undo)
        run.record.become(ReleaseState.FAILED)
        run.record.cause = f"{failed}: {cause}"
        # SIGTERM says nothing of the release: a rollback may go where it could go before.
        run.record.healthy = run.before.healthy and isinstance(error, Interrupted)
        _best_effort(run, "prune", phases.prune)
        _end(run, ActivationState.FAILED)
        raise
    run.record.advance(ActivationState.LIVE)
    run.host.releases.save(run.record)


def _tidy(run: Activation) -> None:
    for phase in TIDYING:
        _best_effort(run, phase.name, partial(_run, phase=phase))
    _end(run, ActivationState.DONE)


def _best_effort(run: Activation, name: str, step: Step) -> None:
    """Run a step that must not change the outcome: a failure is a warning, and the next run's `recover` tries again."""
    try:
        step(run)
    except Exception as error:
        run.record.warnings.append(f"{name}: {error}")
        _log(f"warning: {name}: {error}")


def _end(run: Activation, state: ActivationState) -> None:
    run.record.phase = None
    run.record.advance(state)
    # First the audit: what a power cut leaves open between the two, `recover` closes, and does not tell twice.
    seconds = time.monotonic() - run.began_monotonic
    line = audit.activation(run.host, run.record, state, seconds, old=run.old)
    run.host.releases.save(run.record)
    decision.forget(run.host, run.release)
    _log(line)


def _run(run: Activation, phase: Phase) -> None:
    run.record.phase = phase.name
    run.host.releases.save(run.record)
    run.samples, at, began = None, now(), time.monotonic()
    try:
        phase.do(run)
    finally:
        ended = PhaseRun(phase.name, round(time.monotonic() - began, 3), at, run.samples)
        run.record.phases.append(ended)
    _log(f"{phase.name:<12} {ended.seconds:.2f} s{_summary(ended.samples)}")


def _summary(samples: dict[str, Any] | None) -> str:
    if not samples:
        return ""
    failed = {name: f"{pair['new']['failed']} of {pair['new']['attempts']}" for name, pair in samples.items()}
    return f"  {failed['traffic']} requests failed, {failed['probes']} probes"


def _log(text: str) -> None:
    """Print to the journal. A journal that died must not change the outcome."""
    with suppress(OSError):
        print(text, flush=True)


@contextmanager
def _interruptible(reason: Callable[[], str]) -> Iterator[None]:
    """Turn the first SIGTERM into an exception, so that the phases are undone."""

    def interrupt(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Interrupted(reason())

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
