"""When a timer is due, so that a backup that was not made is told."""

import re
from datetime import UTC, datetime

from slipway.backup.process import run
from slipway.backup.settings import BackupError

# The second line where the host's own time is another one.
_ELAPSE = re.compile(r"(?:Next elapse|\(in UTC\)): (?:[A-Z][a-z]{2} )?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC")


def due(expression: str) -> str:
    """Return the next moment of an `OnCalendar=` expression, in ISO 8601 with UTC.

    Raises:
        BackupError: it is not valid, or never comes.
    """
    output = run(["systemd-analyze", "calendar", "--", expression])
    if not (found := _ELAPSE.search(output)):
        raise BackupError(
            f"the schedule `{expression}` has no next moment: set backup_schedule, then slipway provision"
        )
    return datetime.fromisoformat(found[1]).replace(tzinfo=UTC).isoformat()
