"""How long each phase of a verb took the last time."""

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Timings:
    """Seconds by phase, in a file. A file that cannot be read or written is none: nothing depends on it."""

    file: Path | None
    before: dict[str, float] = field(default_factory=dict)
    now: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path | None) -> "Timings":
        """Read the file, if there is one."""
        try:
            known = json.loads(file.read_text()) if file else {}
            return cls(file, {str(name): float(seconds) for name, seconds in known.items()})
        except (OSError, ValueError, TypeError, AttributeError):
            return cls(file)

    def add(self, phase: str, seconds: float) -> None:
        """Add to a phase's time: one can come in several parts."""
        self.now[phase] = self.now.get(phase, 0) + seconds

    def last(self, phase: str) -> str:
        """Return in words how long a phase took last time; empty if that is not known."""
        return f"last time {seconds(self.before[phase])}" if phase in self.before else ""

    def save(self) -> None:
        """Write the file. Phases that were not reached keep their times."""
        if self.file is None:
            return
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps(self.before | {name: round(each, 2) for name, each in self.now.items()}))
        except OSError:
            return


def seconds(value: float) -> str:
    """Write a duration as a person reads it: 0.4 s, 12 s, 1 min 53 s."""
    if value < 10:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
