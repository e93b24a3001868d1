"""How the last attempts to obtain a certificate ended, and when the next one is due."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from slipway.engine.durable import write_even_if_full
from slipway.engine.files import read_regular
from slipway.model.errors import SlipwayError

CHECK_SECONDS = 11 * 3600
"""A certificate that is well is looked at twice a day, as certbot's own timer does."""
FIRST_DELAY_SECONDS = 15 * 60
"""Let's Encrypt allows five failed validations of a name an hour."""
MAX_SECONDS = 2**33
"""No moment is later: the year 2242."""


@dataclass(frozen=True)
class Attempts:
    """The attempts for one name."""

    failures: int = 0
    """How many failed since the last one that did not."""
    tried_at: float = 0
    """Epoch seconds of the last one."""
    failed_since: float = 0
    """Epoch seconds of the first of these failures."""
    reason: str = ""
    """Why the last one failed, as the CA says."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the attempts; none if the file is missing or damaged. certbot's user wrote it, and root may read it."""
        try:
            values = json.loads(read_regular(path))
            tried_at, failed_since = (float(values[name]) for name in ("tried_at", "failed_since"))
            if not all(0 <= moment < MAX_SECONDS for moment in (tried_at, failed_since)):
                return cls()
            return cls(int(values["failures"]), tried_at, failed_since, str(values["reason"])[:1000])
        except (OSError, SlipwayError, ValueError, KeyError, TypeError, OverflowError):
            return cls()

    def save(self, path: Path) -> None:
        """Write the attempts, on a full disk too.

        Raises:
            OSError: the disk is full, and there is no file yet.
        """
        write_even_if_full(path, json.dumps(asdict(self)))

    @property
    def next_at(self) -> float:
        """The earliest moment of the next attempt by the timer, in epoch seconds: later after each failure in a row."""
        if not self.tried_at:
            return 0
        delay = FIRST_DELAY_SECONDS * 2 ** min(self.failures - 1, 16) if self.failures else CHECK_SECONDS
        return self.tried_at + min(delay, CHECK_SECONDS)

    def is_due(self, now: float) -> bool:
        """Whether the timer tries now. A last attempt in the future is one of a clock that was wrong."""
        return now >= self.next_at or now < self.tried_at

    def succeeded(self, now: float) -> Self:
        """Record an attempt that did not fail."""
        return type(self)(tried_at=now)

    def failed(self, now: float, reason: str) -> Self:
        """Record one that did."""
        return type(self)(self.failures + 1, now, self.failed_since or now, reason)
