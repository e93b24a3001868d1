"""What `slipway status` says of the certificates."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway.acme.attempts import Attempts
from slipway.acme.install import problems, served_validity
from slipway.acme.settings import FILE, Settings


def report(file: Path = FILE) -> list[dict[str, Any]]:
    """Return each name with its certificate's end, and why there is no newer one.

    The state is `none` (http serves until there is one), `valid`, `failing` (valid, and the last attempt to renew it
    failed), `expiring` (less than a third of its life is left) or `expired`.

    Raises:
        SlipwayError: the settings are damaged.
    """
    settings = Settings.load(file)
    if settings is None:
        return []
    return [_of(settings, name, problems(settings)) for name in settings.names]


def _of(settings: Settings, name: str, refused: dict[str, str]) -> dict[str, Any]:
    attempts, validity, now = (Attempts.load(settings.record(name)), served_validity(settings, name), time.time())
    reason = attempts.reason or refused.get(name, "")
    if validity is None:
        state = "none"
    elif validity.not_after <= now:
        state = "expired"
    elif validity.not_after - now < (validity.not_after - validity.not_before) / 3:
        state = "expiring"
    else:
        state = "failing" if reason else "valid"
    return {
        "name": name,
        "state": state,
        "expires": _moment(validity.not_after) if validity else None,
        "failures": attempts.failures,
        "failing_since": _moment(attempts.failed_since) if attempts.failures else None,
        "reason": reason or None,
        "next_attempt": _moment(attempts.next_at) if attempts.failures else None,
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def is_bad(values: Mapping[str, Any]) -> bool:
    """Whether somebody has to act on a certificate of a report: not while the first one is still being obtained."""
    return values["state"] in {"expired", "expiring", "failing"} or bool(values["failures"])


def words(values: list[dict[str, Any]]) -> list[str]:
    """The same for people, a line for each name."""
    return [_line(each) for each in values]


def _line(values: dict[str, Any]) -> str:
    end = {
        "none": "no certificate yet, served by http",
        "expired": f"EXPIRED at {values['expires']}",
        "expiring": f"EXPIRES at {values['expires']}",
    }.get(values["state"], f"valid until {values['expires']}")
    line = f"{values['name']}: {end}"
    if values["reason"]:
        since = f" since {values['failing_since']}" if values["failing_since"] else ""
        line += f"; renewal fails{since}: {values['reason']}"
    if values["next_attempt"]:
        line += f" (next attempt after {values['next_attempt']}; at once: systemctl start nginx-acme@now, as root)"
    return line
