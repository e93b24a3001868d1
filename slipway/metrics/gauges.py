"""What `slipway status` and the audit say of a host, as gauges."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from slipway.acme import report as certificates
from slipway.alerts.certificate import is_near
from slipway.backup import report as backups
from slipway.metrics.exposition import Gauge, Sample
from slipway.model.states import STAYED, Kind

MAX_ACTIVATIONS = 20
"""Each is a time series of its own, with the release as a label."""
RUNNING = {"active", "activating", "deactivating", "reloading"}


def gauges(
    status: Mapping[str, Any], history: Sequence[Mapping[str, Any]], validities: Mapping[str, tuple[float, float]]
) -> list[Gauge]:
    """Return the gauges of a host.

    Args:
        status: of `slipway.engine.status.status`.
        history: entries of the audit, oldest first.
        validities: when each certificate begins and ends that nobody renews here, by its name (epoch
            seconds; 0: not valid).
    """
    return [
        *_site(status),
        *_activations(history),
        *_certificates(status["certificates"], validities),
        *_backups(status["backup"]),
    ]


def _site(status: Mapping[str, Any]) -> list[Gauge]:
    live = status["live"]
    down = [name for name, state in status["processes"].items() if state not in RUNNING]
    info = {"release": live or "", "commit": status["commit"] or "", "version": status["version"]}
    return [
        _gauge(
            "site_up", "Whether the live release and its processes serve.", live and not status["problem"] and not down
        ),
        _gauge("maintenance", "Whether clients get the maintenance message.", status["maintenance"]),
        _gauge("drift", "Whether files differ from what was provisioned.", status["drift"]["state"] == "differs"),
        Gauge("slipway_live_info", "The live release.", [Sample(1, info)] if live else []),
        Gauge(
            "slipway_live_since_timestamp_seconds",
            "When the live release got the traffic.",
            [Sample(_epoch(status["since"]))] if status["since"] else [],
        ),
    ]


def _activations(history: Sequence[Mapping[str, Any]]) -> list[Gauge]:
    ended = [each for each in history if each.get("what") in list(Kind) and each.get("at")][-MAX_ACTIVATIONS:]
    labelled = [
        ({name: str(each.get(name) or "") for name in ("what", "release", "ended", "by")}, each) for each in ended
    ]
    return [
        Gauge(
            "slipway_activation_timestamp_seconds",
            "When each of the last deploys and rollbacks ended.",
            _last((labels, _epoch(each["at"])) for labels, each in labelled),
        ),
        Gauge(
            "slipway_activation_duration_seconds",
            "How long each took.",
            _last(
                (labels, each["seconds"]) for labels, each in labelled if isinstance(each.get("seconds"), int | float)
            ),
        ),
        Gauge(
            "slipway_last_activation_failed",
            "Whether the last deploy or rollback failed.",
            [Sample(int(ended[-1].get("ended") not in STAYED))] if ended else [],
        ),
    ]


def _certificates(renewed: Sequence[Mapping[str, Any]], validities: Mapping[str, tuple[float, float]]) -> list[Gauge]:
    ends = {each["name"]: _epoch(each["expires"]) for each in renewed if each["expires"]}
    bad = {each["name"]: certificates.is_bad(each) for each in renewed}
    for name, (begin, end) in validities.items():
        ends[name], bad[name] = end, is_near(begin, end, time.time())
    return [
        Gauge(
            "slipway_certificate_expiry_timestamp_seconds",
            "When each certificate ends; 0: it is not valid.",
            [Sample(end, {"name": name}) for name, end in ends.items()],
        ),
        Gauge(
            "slipway_certificate_problem",
            "Whether a certificate ends soon, has ended or is not renewed.",
            [Sample(int(is_bad), {"name": name}) for name, is_bad in bad.items()],
        ),
    ]


def _backups(values: dict[str, Any] | None) -> list[Gauge]:
    if values is None:
        return []
    bad = backups.problems(values)
    last = {what: each["last"]["at"] for what, each in values.items() if each.get("last")}
    return [
        Gauge(
            "slipway_backup_problem",
            "Whether the last backup, restore test or copy of WAL failed, was interrupted or is too old.",
            [Sample(int(what in bad), {"what": what}) for what in values],
        ),
        Gauge(
            "slipway_backup_last_success_timestamp_seconds",
            "When the last backup, restore test and copy of WAL ended well.",
            [Sample(_epoch(at), {"what": what}) for what, at in last.items()],
        ),
    ]


def _gauge(name: str, text: str, is_so: object) -> Gauge:
    return Gauge(f"slipway_{name}", text, [Sample(int(bool(is_so)))])


def _last(samples: Iterable[tuple[dict[str, str], float]]) -> list[Sample]:
    """Of the same release that was activated twice the last: a series has one value."""
    newest = {tuple(labels.items()): value for labels, value in samples}
    return [Sample(value, dict(labels)) for labels, value in newest.items()]


def _epoch(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
