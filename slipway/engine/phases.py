"""The phases of an activation, each with its undo beside it. Their order is in `deploy`."""

import time
from contextlib import suppress
from functools import partial

from slipway.backup import report
from slipway.engine import decision, instances, readiness, room, scale, ways
from slipway.engine import prune as pruning
from slipway.engine.activation import Activation
from slipway.engine.errors import Interrupted, PhaseError, SystemdError
from slipway.engine.probe import Answer, get_from_socket, queue_length
from slipway.engine.readiness import Refusal
from slipway.engine.releases import now
from slipway.engine.traffic import drain, point
from slipway.engine.watch import Watch
from slipway.model import listeners
from slipway.model.errors import SlipwayError
from slipway.model.states import ActivationState, ReleaseState

POLL_SECONDS = 0.05
SETTLE_SECONDS = 3
"""Seconds that a process has to stay up where it is not watched for longer: more than Python needs to import an app."""
BACKUP_SECONDS = 6 * 3600 + 60
"""Longer than any backup: its unit stops one that takes too long."""
FRONT_TIMEOUT = 10
"""Seconds within which nginx must answer from the new release: nothing has to start for that."""


def backup(run: Activation) -> None:
    """Back up the data that the migrations are about to change. Without a backup there are no migrations."""
    try:
        run.host.systemd.start(f"backup@{run.release}.service", timeout=BACKUP_SECONDS)
    except SystemdError as error:
        cause = report.found(run.host.backups)["backup"].get("cause") or error.summary
        raise PhaseError(
            f"the backup before the migrations failed: {cause}\nTo deploy without one: -e release_backup=false"
        ) from None
    last = report.found(run.host.backups)["backup"].get("last") or {}
    if last.get("kind") == run.release:  # a host without data makes none
        run.record.snapshot = last["snapshot"]


def stop_backup(run: Activation) -> None:
    """Stop a backup that is still made."""
    run.host.systemd.stop(f"backup@{run.release}.service")


def migrate(run: Activation) -> None:
    """Run the release's migrations."""
    unit = f"migrate@{run.release}.service"
    try:
        run.host.systemd.start(unit, timeout=run.host.site.migrate_timeout + 30)
    except SystemdError as error:
        raise run.fail(f"the migrations failed ({error.summary})", unit) from None


def stop_migrations(run: Activation) -> None:
    """Stop migrations that are still running; ones that have ended are not undone."""
    run.host.systemd.stop(f"migrate@{run.release}.service")


def start(run: Activation) -> None:
    """Start the release. Its socket first: from then on requests queue whatever the service does."""
    try:
        scale.reset(run.host, run.release)
        run.host.systemd.start(*instances.web(run.host, run.release))
    except SystemdError as error:
        raise run.fail(f"the web server did not start ({error.summary})", run.service) from None
    _start_processes(run, instances.processes(run.host, run.release))


def stop(run: Activation) -> None:
    """Stop all units of the release."""
    _stop(run, run.release)


def probe(run: Activation) -> None:
    """Wait until the web server is ready, by requests on its own socket, and until the processes have stayed up."""
    site, path = run.host.site, run.host.releases.socket(run.release)
    began = time.monotonic()
    deadline = began + site.start_timeout
    answer, refusal = Answer(error="no probe was sent"), Refusal()
    while time.monotonic() < deadline:
        state = run.host.systemd.state(run.service)
        if state.crashed:
            raise run.fail("the web server crashed while starting", run.service, state)
        # Short at first: nobody answers a request to a release that has just crashed.
        timeout = min(5.0, 0.5 + time.monotonic() - began)
        answer = get_from_socket(path, site.ready_path, site.probe_host, timeout, site.probe_scheme)
        if answer.good:
            _check_version(run, _version(run))
            _settle(run)
            return
        if refusal.is_settled(answer):
            raise run.fail(_refused(run, answer), run.service)
        if not answer.status and not run.record.port:
            _find_way(run, deadline)
        time.sleep(POLL_SECONDS)
    what = f"not ready within {site.start_timeout} s; last response to GET {site.ready_path}: {answer}"
    if advice := readiness.advice(answer, site.ready_path, site.probe_host, site.probe_scheme):
        what += f"\n{advice}"
    if not answer.status and queue_length(path):
        what += f"\n{ways.missing(run.host, run.release)}"
    raise run.fail(what, run.service)


def canary(run: Activation) -> None:
    """Point a slice of the traffic at the release."""
    point(run.host, run.release, ["canary"])


def watch_canary(run: Activation) -> None:
    """Compare the release with the old one, which has the rest of the traffic."""
    if run.watch:
        _compare(run, run.watch, "canary")


def hand_over(run: Activation) -> None:
    """Stop the old release's singletons, then start the new one's: never two at a time."""
    if run.old:
        try:
            run.host.systemd.stop(*instances.singletons(run.host, run.old))
        except SystemdError as error:
            raise SlipwayError(f"the singletons of {run.old} did not stop: {error}") from None
    _start_processes(run, instances.singletons(run.host, run.release))
    _settle(run)


def hand_back(run: Activation) -> None:
    """Stop the release's singletons, then start the old one's again."""
    singletons = instances.singletons(run.host, run.release)
    run.processes = [unit for unit in run.processes if unit not in singletons]
    try:
        run.host.systemd.stop(*singletons)
        if run.old:
            run.host.systemd.start(*instances.singletons(run.host, run.old))
    except SystemdError as error:
        raise SlipwayError(f"the singletons of {run.old} do not run again: {error}") from None


def cutover(run: Activation) -> None:
    """Point the traffic at the release. While it is watched, the old one keeps a slice to be compared with.

    Earlier measurements would not do: on a busy machine a minute earlier is another machine.
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
    """Point all traffic at the old release, and let the new one finish the requests that it has."""
    _give_back(run)
    if run.drained_from != run.flipped_at:
        drain(run.host, run.release, since=run.flipped_at)
        run.drained_from = run.flipped_at


def probe_front(run: Activation) -> None:
    """Send requests through nginx, as a client does.

    The old release answers some, over connections that nginx keeps and in the slice that it has while it is watched: an
    app that tells its release gets requests until the new one answers.
    """
    site = run.host.site
    deadline = time.monotonic() + FRONT_TIMEOUT
    refusal = Refusal()
    while True:
        answer = run.host.front.get(site.front_url, site.ready_path, site.probe_host, scheme=site.probe_scheme)
        if answer.good and _answers_in_front(run):
            return
        if refusal.is_settled(answer):
            raise run.fail(f"through nginx, {_refused(run, answer)}", run.service)
        if time.monotonic() > deadline:
            what = f"through nginx, the last response to GET {site.ready_path} (Host: {site.probe_host}): {answer}"
            raise run.fail(what, run.service)
        time.sleep(POLL_SECONDS)


def watch(run: Activation) -> None:
    """Compare the release with the old one once more, now that it has nearly all traffic."""
    if run.watch:
        _compare(run, run.watch, "live")


def hold(run: Activation) -> None:
    """Keep the old release running until the controller, which deploys to several hosts, confirms."""
    seconds = run.request.hold
    run.record.advance(ActivationState.HELD)
    run.host.releases.save(run.record)
    deadline = time.monotonic() + seconds
    while not decision.confirmed(run.host, run.release):
        _check_running(run)
        if time.monotonic() > deadline:
            raise Interrupted(
                f"no confirmation within {seconds} s: the deploy on the controller has ended. Deploy again"
            )
        time.sleep(POLL_SECONDS)


def keep(run: Activation) -> None:
    """Record the release as the live one, which boots. A power cut keeps it so; only a rollback undoes it."""
    run.host.releases.sync()
    if not run.is_rollback:
        run.record.previous = run.old
    # Before the link: an engine that is killed between the two must not lose where a rollback goes.
    run.host.releases.save(run.record)
    run.host.releases.set_current(run.release)
    run.record.become(ReleaseState.LIVE)
    run.record.healthy, run.record.live_at = True, now()


def keep_old(run: Activation) -> None:
    """Make the old release the one that boots again."""
    run.host.releases.set_current(run.old)
    run.record.previous, run.record.live_at = run.before.previous, run.before.live_at


def retire(run: Activation) -> None:
    """Let the old release finish its requests, then stop it, not waiting for its long-lived answers to end."""
    if not run.old:
        return
    drain(run.host, run.old, since=run.flipped_at)
    try:
        _stop(run, run.old, wait=False)
    finally:
        with suppress(SlipwayError):
            record = run.host.releases.record(run.old)
            record.become(ReleaseState.RETIRED)
            record.retired_at = now()
            run.host.releases.save(record)


def prune(run: Activation) -> None:
    """Remove the releases that are too many. This one stays even if it failed: its record tells the cause."""
    pruning.prune(run.host, in_use={run.release})
    room.keep_reserve(run.host.releases)


def _stop(run: Activation, release: str, wait: bool = True) -> None:
    try:
        instances.stop(run.host, release, wait=wait)
    except SystemdError as error:
        raise SlipwayError(f"{release} did not stop: {error}") from None


def _find_way(run: Activation, deadline: float) -> None:
    """Wait until the app accepts the probe that was sent last from its socket, or listens on a port by itself."""
    path = run.host.releases.socket(run.release)
    since, before = time.monotonic(), list[int]()
    while queue_length(path) and time.monotonic() < deadline and not run.host.systemd.state(run.service).crashed:
        listening = ways.open_ports(run.host, run.release)
        if listening != before:
            since, before = time.monotonic(), listening
        if port := listeners.choose(ways.ports(run.host, run.release), listening, time.monotonic() - since):
            time.sleep(listeners.GRACE_SECONDS)
            if queue_length(path):
                _connect(run, port)
            return
        time.sleep(2 * POLL_SECONDS)


def _connect(run: Activation, port: int) -> None:
    """Connect the release's socket to the port on which the app listens."""
    run.host.releases.set_port(run.release, port)
    run.record.port = port
    run.host.releases.save(run.record)
    unit = instances.proxy(run.release)
    try:
        run.host.systemd.start(unit)
    except SystemdError as error:
        raise run.fail(f"the proxy to port {port} did not start ({error.summary})", unit) from None


def _answers_in_front(run: Activation) -> bool:
    site = run.host.site
    if not site.version_path:
        return True
    answer = run.host.front.get(site.front_url, site.version_path, site.probe_host, scheme=site.probe_scheme)
    reported = answer.field("release")
    return reported is None or reported == run.release


def _version(run: Activation) -> Answer | None:
    site = run.host.site
    if not site.version_path:
        return None
    path = run.host.releases.socket(run.release)
    return get_from_socket(path, site.version_path, site.probe_host, scheme=site.probe_scheme)


def _check_version(run: Activation, answer: Answer | None) -> None:
    reported = answer.field("release") if answer and answer.good else None
    if reported is not None and reported != run.release:
        raise run.fail(
            f"GET {run.host.site.version_path} reports release {reported!r}, not {run.release}: "
            "its `release` must be $SLIPWAY_RELEASE",
            run.service,
        )


def _refused(run: Activation, answer: Answer) -> str:
    site = run.host.site
    return readiness.explain(answer, site.ready_path, site.probe_host, site.probe_scheme)


def _give_back(run: Activation) -> None:
    if point(run.host, run.old):
        run.flipped_at = time.monotonic()


def _check_running(run: Activation) -> None:
    state = run.host.systemd.state(run.service)
    if state.crashed or not state.running:
        _give_back(run)
        raise run.fail("the web server crashed while it had traffic", run.service, state)
    _check_processes(run)


def _start_processes(run: Activation, units: list[str]) -> None:
    for unit in units:
        try:
            run.host.systemd.start(unit)
        except SystemdError as error:
            raise run.fail(f"process {instances.display_name(unit)} did not start ({error.summary})", unit) from None
        run.processes.append(unit)


def _check_processes(run: Activation) -> None:
    for unit in run.processes:
        state = run.host.systemd.state(unit)
        if state.crashed or not state.running:
            _give_back(run)
            raise run.fail(f"process {instances.display_name(unit)} crashed", unit, state)


def _settle(run: Activation) -> None:
    """Wait until the processes have stayed up for a while: none tells when it is ready.

    A release that is watched is checked for longer than that anyhow; a rollback's release was checked before.
    """
    if run.watch or run.is_rollback or not run.processes:
        return
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        _check_processes(run)
        time.sleep(POLL_SECONDS)


def _compare(run: Activation, watch: Watch, new_slice: str) -> None:
    try:
        reason = watch.compare(new_slice, partial(_check_running, run))
    finally:
        run.samples = watch.figures()
    if reason:
        _give_back(run)  # at once: to read the release's last lines takes seconds
        raise run.fail(reason, run.service)
