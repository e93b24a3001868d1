"""How often a unit crashed of late, how its process ended last, and whether for want of memory."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RESTART, PROCESS_EXIT, OUT_OF_MEMORY = (
    "5eb03494b6584870a536b337290809b3",
    "98e322203f7a4ed290d09fe03c09fe15",
    "fe6faa94e7774663a0da52717891d8ef",
)
"""SD_MESSAGE_UNIT_RESTART_SCHEDULED, _PROCESS_EXIT and _OUT_OF_MEMORY (systemd/sd-messages.h)."""
CRASH_EVENTS = {RESTART: "restarted after a crash", OUT_OF_MEMORY: "a process was killed for want of memory"}
LOOP = 3
"""Crashes within LOOP_SECONDS that are more than an accident."""
LOOP_SECONDS = 3600


def ending(status: int, is_signal: bool) -> str:
    """How a process ended, in words: `exit status 3`, `SIGKILL`; empty if it ended well."""
    if not is_signal:
        return f"exit status {status}" if status else ""
    try:
        return signal.Signals(status).name
    except ValueError:
        return f"signal {status}"


def _ending(entry: Mapping[str, Any]) -> str:
    return ending(int(entry.get("EXIT_STATUS") or 0), is_signal=entry.get("EXIT_CODE") != "exited")


@dataclass(frozen=True)
class Crashes:
    """What systemd logged about a unit in a time."""

    restarts: int = 0
    kills: int = 0
    """Processes that the kernel killed for want of memory: the unit goes on if only a worker was one."""
    ending: str = ""
    """How the main process ended last."""
    last_at: float | None = None
    """Epoch seconds."""

    @classmethod
    def read(cls, entries: Sequence[Mapping[str, Any]]) -> "Crashes":
        """Count entries of the journal, oldest first, as `journalctl --output=json` prints them."""
        kinds = [each.get("MESSAGE_ID") for each in entries]
        exits = [each for each in entries if each.get("MESSAGE_ID") == PROCESS_EXIT]
        crashed = [each for each in entries if each.get("MESSAGE_ID") in {RESTART, OUT_OF_MEMORY}]
        return cls(
            restarts=kinds.count(RESTART),
            kills=kinds.count(OUT_OF_MEMORY),
            ending=next((_ending(each) for each in reversed(exits)), ""),
            last_at=int(crashed[-1]["__REALTIME_TIMESTAMP"]) / 1e6 if crashed else None,
        )

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Crashes":
        """Read what `to_json` wrote."""
        return cls(document["restarts"], document["out_of_memory"], document["ending"], document["last_at"])

    @property
    def loop(self) -> bool:
        """Whether it crashes again and again."""
        return max(self.restarts, self.kills) >= LOOP

    def __str__(self) -> str:
        parts = [f"crashed {self.restarts} times in the last hour"] * bool(self.restarts)
        parts += [f"last by {self.ending}"] * bool(self.restarts and self.ending)
        parts += [f"the kernel killed processes of it {self.kills} times for want of memory"] * bool(self.kills)
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """The document for `slipway status --json`."""
        return {"restarts": self.restarts, "out_of_memory": self.kills, "ending": self.ending, "last_at": self.last_at}


def variable(unit: str) -> str:
    """The variable that bounds the memory of a unit."""
    return "app_memory_max" if unit.startswith("app@") else "memory_max in app_processes, or app_memory_max"


def memory_advice(unit: str, limit: str) -> str:
    """What to do for a unit that had too little memory. `limit`: its MemoryMax."""
    return (
        f"all processes of this unit together may have {limit} (`{variable(unit)}`), and the machine must have it: "
        "raise it, start fewer workers (`app_workers`), or look for what the app keeps"
    )


def size(limit: str) -> str:
    """A limit of systemd's for people: bytes, or infinity."""
    return f"{int(limit) >> 20} MiB" if limit.isdigit() else "as much as there is"
