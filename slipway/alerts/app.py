"""What is wrong with an app host, beside what may be with any host: site, deploys and the other app hosts."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from slipway.acme import report as certificates
from slipway.alerts import checks, facts, others
from slipway.alerts.alert import Alert
from slipway.alerts.certificate import expiring
from slipway.alerts.settings import Settings
from slipway.engine import audit, drift
from slipway.engine.host import Host
from slipway.engine.status import status
from slipway.model.states import STAYED, Kind


@dataclass(frozen=True)
class AppFacts:
    """What `slipway status` does not tell, of one moment."""

    history: list[dict[str, Any]] = field(default_factory=list)
    """The last entries of the audit, oldest first."""
    certificate: Alert | None = None
    """The end of a certificate that nobody renews here."""
    silent_hosts: dict[str, str] = field(default_factory=dict)
    """Other app hosts that do not answer, with what happens instead."""


def found(host: Host, settings: Settings) -> list[Alert]:
    """List what is wrong."""
    values = status(host)
    return [
        *of_app(values, read(host, settings)),
        *checks.of_backups(values["backup"]),
        *checks.of_system(facts.read(host.systemd, host.written)),
    ]


def serves(host: Host, found: Iterable[Alert]) -> bool:
    """Tell whether the host has a live release that works. `found`: what is wrong now, told or not."""
    return host.releases.current() is not None and not any(each.kind in {"site", "status"} for each in found)


def read(host: Host, settings: Settings) -> AppFacts:
    """Read the facts."""
    port = settings.https_port
    return AppFacts(
        history=audit.last(host, 200),
        certificate=expiring(port, host.site.probe_host, time.time()) if port else None,
        silent_hosts=others.silent(host.front, host.site, settings.others),
    )


def of_app(values: dict[str, Any], facts: AppFacts) -> list[Alert]:
    """List what is wrong with the app.

    Args:
        values: of `slipway.engine.status.status`.
        facts: of the same moment.
    """
    return [
        *_site(values),
        *_activation(facts.history),
        *_certificates(values["certificates"]),
        *([facts.certificate] if facts.certificate else []),
        *_drift(values["drift"]),
        *_others(facts.silent_hosts),
    ]


def _site(status: dict[str, Any]) -> Iterator[Alert]:
    if not status["live"]:
        return
    advice = "slipway status, then slipway logs; slipway rollback if a deploy caused it"
    if status["problem"]:
        yield Alert("site", "the site does not work", status["problem"], advice)
    for name, state in status["processes"].items():
        if state not in {"active", "activating", "deactivating", "reloading"}:
            yield Alert(f"site:{name}", f"the process {name} does not run", f"systemd says {state}", advice)
    if status["state"] == "interrupted":
        yield Alert("site:interrupted", "an activation was interrupted", next="slipway recover")


def _activation(history: Iterable[dict[str, Any]]) -> Iterator[Alert]:
    """The last activation, if it failed: another one that works is its end."""
    last = next((each for each in reversed(list(history)) if each.get("what") in list(Kind)), None)
    if last is None or last.get("ended") in STAYED:
        return
    what, ended = last.get("what"), last.get("ended")
    yield Alert(
        "deploy",
        f"the {what} of {last.get('release')} by {last.get('by')} ended: {ended}",
        f"{last.get('cause') or 'no cause is recorded'}\n{last.get('live') or 'no release'} is live",
        "slipway status; slipway logs --release " + str(last.get("release")),
        mark=str(last.get("at")),
    )


def _certificates(values: list[dict[str, Any]]) -> Iterator[Alert]:
    for each in values:
        if certificates.is_bad(each):
            title = {"expired": "has expired", "expiring": "expires soon"}.get(each["state"], "is not renewed")
            words = certificates.words([each])[0]
            advice = "systemctl start nginx-acme@now; journalctl -u 'nginx-acme@*' -n 50"
            yield Alert(f"certificate:{each['name']}", f"the certificate of {each['name']} {title}", words, advice)


def _drift(values: dict[str, Any]) -> Iterator[Alert]:
    if values["state"] == "differs":
        advice = "slipway provision <environment> -- --check --diff"
        yield Alert("drift", "files differ from what was provisioned", "\n".join(drift.words(values)), advice)


def _others(hosts: dict[str, str]) -> Iterator[Alert]:
    for name, detail in hosts.items():
        advice = f"log in to {name}, or start it at your provider; slipway doctor <environment>"
        yield Alert(f"host:{name}", f"{name} does not answer", detail, advice)
