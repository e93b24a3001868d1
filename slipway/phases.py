"""The phases of an activation, each with its undo beside it. Their order is in `deploy`."""

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from slipway import causes, decision, instances
from slipway import prune as pruning
from slipway.errors import Interrupted, PhaseError, SlipwayError
from slipway.host import Host
from slipway.probe import Answer, ask_socket, waiting
from slipway.releases import Record, now
from slipway.traffic import drain, point
from slipway.watch import Watch

POLL_SECONDS = 0.05
SETTLE_SECONDS = 3
"""Seconds that a process has to stay up where it is not watched for longer: more than Python needs to import an app."""
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
    """When traffic was last pointed elsewhere (monotonic seconds)."""
    drained_from: float | None = None
    """The `flipped_at` after which the release was drained: once is enough, and may take as long as a request."""
    processes: list[str] = field(default_factory=list)
    """Units of its processes, besides the web server, that were started."""
    saw: dict[str, Any] | None = None
    """What the phase that is running has counted, for the record."""
    watch: Watch | None = None
    """Compares it with the old one; None where there is nothing to compare, or nobody wants to wait."""

    @classmethod
    def begin(cls, host: Host, record: Record) -> "Activation":
        """Look at what is there before anything is changed. A rollback is not watched: it is urgent."""
        run = cls(host, record, before=replace(record), old=host.releases.current())
        if run.old and host.config.watch_seconds and not run.is_rollback and record.request.get("watch", True):
            run.watch = Watch(host, run.release, run.old)
        return run

    @property
    def release(self) -> str:
        """The release that is to become live."""
        return self.record.release

    @property
    def service(self) -> str:
        """The unit of its instance."""
        return instances.service(self.release)

    @property
    def socket(self) -> str:
        """The socket unit of its instance."""
        return instances.socket(self.release)

    @property
    def is_rollback(self) -> bool:
        """It goes back to a release that was live before."""
        return self.record.request.get("kind") == "rollback"

    @property
    def is_held(self) -> bool:
        """Somebody who deploys to several hosts has the last word."""
        return bool(self.record.request.get("hold"))

    @property
    def migrates(self) -> bool:
        """It has migrations to run here. A rollback runs none: the schema stays. Of several hosts one runs them."""
        asked = self.record.request.get("migrate", True) and not self.is_rollback
        return asked and (self.host.releases.path(self.release) / ".slipway/release").exists()

    @property
    def hands_over(self) -> bool:
        """It or the old one has processes that run once."""
        return any(instances.singles(self.host, release) for release in (self.release, self.old) if release)

    def fail(self, what: str, unit: str) -> PhaseError:
        """An error with its cause."""
        return PhaseError(causes.explain(what, self.host.systemd, unit, since=self.began))


def migrate(run: Activation) -> None:
    """Run the release's migrations."""
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
    _start_processes(run, instances.processes(run.host, run.release))


def stop(run: Activation) -> None:
    """Stop all of it again."""
    if said := instances.stop(run.host, run.release):
        raise SlipwayError(f"{run.release} did not stop: {said}")


def probe(run: Activation) -> None:
    """Wait until the instance is ready, asking it on its own socket, and until its processes have stayed up."""
    config, path = run.host.config, run.host.releases.socket(run.release)
    began = time.monotonic()
    deadline = began + config.start_timeout
    answer = Answer(error="it was not asked")
    while time.monotonic() < deadline:
        state = run.host.systemd.state(run.service)
        if state.crashed:
            raise run.fail(f"it crashed while starting{state.how}", run.service)
        # Short at first: a request to a release that has just crashed is answered by nobody.
        patience = min(5.0, 0.5 + time.monotonic() - began)
        answer = ask_socket(path, config.ready_path, config.probe_host, timeout=patience)
        if answer.good:
            _check_version(run, path_answer=_version(run))
            _settle(run)
            return
        time.sleep(POLL_SECONDS)
    what = f"it was not ready within {config.start_timeout} s; GET {config.ready_path} said last: {answer}"
    if not answer.status and waiting(path):
        what += f"\nNothing takes connections from the socket that it was handed: {causes.SOCKET_ADVICE}"
    raise run.fail(what, run.service)


def canary(run: Activation) -> None:
    """Point a slice of the traffic at the release."""
    point(run.host, run.release, ["canary"])


def watch_canary(run: Activation) -> None:
    """Compare it with the release that has the rest of the traffic."""
    if run.watch:
        _compare(run, run.watch, "canary")


def hand_over(run: Activation) -> None:
    """Stop the old release's processes that run once, then start its own: never two at a time."""
    if run.old and (said := run.host.systemd.stop(*instances.singles(run.host, run.old))):
        raise SlipwayError(f"the processes of {run.old} that run once did not stop: {said}")
    _start_processes(run, instances.singles(run.host, run.release))
    _settle(run)


def hand_back(run: Activation) -> None:
    """Give them back to the old release."""
    singles = instances.singles(run.host, run.release)
    run.processes = [unit for unit in run.processes if unit not in singles]
    said = run.host.systemd.stop(*singles)
    if run.old and not said:
        said = run.host.systemd.start(*instances.singles(run.host, run.old))
    if said:
        raise SlipwayError(f"the processes that run once are not {run.old}'s again: {said}")


def cutover(run: Activation) -> None:
    """Point the traffic at the release. While it is watched, the old one keeps a slice to be compared with.

    What was measured before would not do: on a busy machine a minute earlier is another machine.
    """
    if run.watch is None:
        complete(run)
        return
    point(run.host, run.release, ["live"])
    point(run.host, run.old, ["canary"])


def complete(run: Activation) -> None:
    """Point all traffic at the release."""
    point(run.host, run.release)
    run.flipped_at = time.monotonic()


def point_back(run: Activation) -> None:
    """Point all traffic at the release that had it, and let this one finish what it was given."""
    _give_back(run)
    if run.drained_from != run.flipped_at:
        drain(run.host, run.release, since=run.flipped_at)
        run.drained_from = run.flipped_at


def probe_front(run: Activation) -> None:
    """Ask through nginx, as a client does.

    The old release answers some, over connections that nginx keeps and in the slice that it has while it is watched: an
    app that tells its release is asked until the new one answers.
    """
    config = run.host.config
    deadline = time.monotonic() + FRONT_TIMEOUT
    while True:
        answer = run.host.front.ask(config.front_url, config.ready_path, config.probe_host)
        if answer.good and _answers_in_front(run):
            return
        if time.monotonic() > deadline:
            raise run.fail(f"through nginx, GET {config.ready_path} of {config.probe_host} said: {answer}", run.service)
        time.sleep(POLL_SECONDS)


def watch(run: Activation) -> None:
    """Compare it once more, now that it has nearly all traffic."""
    if run.watch:
        _compare(run, run.watch, "live")


def hold(run: Activation) -> None:
    """Keep the way back open until whoever deploys to several hosts confirms."""
    seconds = run.record.request["hold"]
    run.record.request["state"] = "held"
    run.host.releases.save(run.record)
    deadline = time.monotonic() + seconds
    while not decision.confirmed(run.host, run.release):
        _check_running(run)
        if time.monotonic() > deadline:
            raise Interrupted(f"nobody confirmed it within {seconds} s: whoever deployed it is gone. Deploy again")
        time.sleep(POLL_SECONDS)


def keep(run: Activation) -> None:
    """Make it the release that is live and boots. From here on there is no way back but a rollback."""
    if not run.is_rollback:
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
    said = instances.stop(run.host, run.old, wait=False)
    with suppress(SlipwayError):
        record = run.host.releases.record(run.old)
        record.state, record.retired_at = "retired", now()
        run.host.releases.save(record)
    if said:
        raise SlipwayError(f"{run.old} did not stop: {said}")


def prune(run: Activation) -> None:
    """Remove the releases that are too many. This one stays even if it failed: its record tells the cause."""
    pruning.prune(run.host, in_use={run.release})


def _answers_in_front(run: Activation) -> bool:
    config = run.host.config
    if not config.version_path:
        return True
    told = run.host.front.ask(config.front_url, config.version_path, config.probe_host).field("release")
    return told is None or told == run.release


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


def _give_back(run: Activation) -> None:
    if point(run.host, run.old):
        run.flipped_at = time.monotonic()


def _check_running(run: Activation) -> None:
    state = run.host.systemd.state(run.service)
    if state.crashed or not state.running:
        _give_back(run)
        raise run.fail(f"it crashed once it had traffic{state.how}", run.service)
    _check_processes(run)


def _start_processes(run: Activation, units: list[str]) -> None:
    for unit in units:
        if said := run.host.systemd.start(unit):
            raise run.fail(f"its process {instances.title(unit)} did not start ({said.splitlines()[0]})", unit)
        run.processes.append(unit)


def _check_processes(run: Activation) -> None:
    for unit in run.processes:
        state = run.host.systemd.state(unit)
        if state.crashed or not state.running:
            _give_back(run)
            raise run.fail(f"its process {instances.title(unit)} crashed{state.how}", unit)


def _settle(run: Activation) -> None:
    """Wait until its processes have stayed up for a while: none tells when it is ready.

    A release that is watched is looked at for longer than that anyhow; one that is returned to was looked at before.
    """
    if run.watch or run.is_rollback or not run.processes:
        return
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        _check_processes(run)
        time.sleep(POLL_SECONDS)


def _compare(run: Activation, watch: Watch, new_slice: str) -> None:
    try:
        why = watch.compare(new_slice, partial(_check_running, run))
    finally:
        run.saw = watch.figures()
    if why:
        _give_back(run)  # at once: to find out what it said takes seconds
        raise run.fail(why, run.service)
