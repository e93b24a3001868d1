"""What was told: an alert is told once when it begins and once when it is over, whatever the receivers do meanwhile."""

import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway.alerts.alert import Alert, Message
from slipway.engine.durable import write_even_if_full

CHECKS = {"site": 2, "service": 2, "host": 2, "memory": 5, "clock": 15}
"""How many checks in a row see an alert before it is told, by the first word of its key, where one does not do."""
CHECKS_OVER = 2
"""How many do not before it is over."""
FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS = 60, 3600
"""Until the next attempt at a receiver that is down: twice as long each time."""
FILE_BYTES = 64 * 1024
"""Filled with spaces: so much can be written on a full disk."""
MAX_QUEUED = 200
"""Messages that wait for a receiver; of more the oldest are given up."""


@dataclass
class Open:
    """An alert that was seen."""

    alert: Alert
    since: float
    seen: int = 0
    missed: int = 0
    told: bool = False


@dataclass
class Queue:
    """What one receiver has not got yet, oldest first."""

    messages: list[Message] = field(default_factory=list)
    failures: int = 0
    next_at: float = 0

    def failed(self, now: float) -> None:
        """Wait longer."""
        self.failures += 1
        self.next_at = now + min(FIRST_DELAY_SECONDS * 2 ** min(self.failures - 1, 10), MAX_DELAY_SECONDS)

    def is_due(self, now: float) -> bool:
        """Whether to try now. An attempt that is too far in the future was planned by a clock that was wrong."""
        return bool(self.messages) and (now >= self.next_at or self.next_at - now > MAX_DELAY_SECONDS)


@dataclass
class Book:
    """All of it, as it is in a file."""

    alerts: dict[str, Open] = field(default_factory=dict)
    queues: dict[str, Queue] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Book":
        """Read the book; an empty one if there is none or it is damaged: what is wrong is then told again."""
        try:
            values = json.loads(path.read_text())
            alerts = {key: Open(**each | {"alert": Alert(**each["alert"])}) for key, each in values["alerts"].items()}
            queues = {
                name: Queue(**each | {"messages": list(map(Message.from_json, each["messages"]))})
                for name, each in values["queues"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()
        return cls(alerts, queues)

    def save(self, path: Path) -> None:
        """Write the book, on a full disk too: the file is larger than it needs to be.

        Raises:
            OSError: the disk is full and there is no file yet, or the disk failed.
        """
        values: dict[str, Any] = {
            "alerts": {key: asdict(each) for key, each in self.alerts.items()},
            "queues": {name: asdict(each) for name, each in self.queues.items()},
        }
        write_even_if_full(path, json.dumps(values).ljust(FILE_BYTES))

    def note(self, found: Iterable[Alert], receivers: Iterable[str], now: float) -> list[Message]:
        """Compare what is wrong with what was told, and queue what is new for each receiver. Returns it.

        Args:
            found: what is wrong now.
            receivers: the names of those that are told; the queues of others are forgotten.
            now: epoch seconds.
        """
        seen = {each.key: each for each in found}
        messages = [*self._begun(seen, now), *self._over(seen, now)]
        self.queues = {name: self.queues.get(name, Queue()) for name in receivers}
        for queue in self.queues.values():
            queue.messages = (queue.messages + messages)[-MAX_QUEUED:]
        return messages

    def _begun(self, seen: dict[str, Alert], now: float) -> Iterable[Message]:
        for key, alert in seen.items():
            known = self.alerts.setdefault(key, Open(alert, since=now))
            if known.alert.mark != alert.mark:
                known = self.alerts[key] = Open(alert, since=now)
            known.alert, known.seen, known.missed = alert, known.seen + 1, 0
            if not known.told and known.seen >= CHECKS.get(alert.kind, 1):
                known.told = True
                yield _message(known, now, over=False)

    def _over(self, seen: dict[str, Alert], now: float) -> Iterable[Message]:
        for key, known in list(self.alerts.items()):
            if key in seen:
                continue
            known.missed += 1
            if not known.told:
                del self.alerts[key]
            elif known.missed >= CHECKS_OVER:
                del self.alerts[key]
                yield _message(known, now, over=True)

    def deliver(self, send: Callable[[str, Message], str], save: Callable[[], None], now: float) -> list[str]:
        """Send what is due, oldest first. A receiver that fails is tried again later. Returns why some failed.

        Args:
            send: sends a message to the receiver of that name; returns why that failed, empty if it did not.
            save: is called after each message: a power cut repeats one at most.
            now: epoch seconds.
        """
        failures = []
        for name, queue in self.queues.items():
            while queue.is_due(now):
                if reason := send(name, queue.messages[0]):
                    queue.failed(now)
                    failures.append(f"{name}: {reason} ({len(queue.messages)} messages wait)")
                    save()
                    break
                queue.messages.pop(0)
                queue.failures, queue.next_at = 0, 0
                save()
        return failures


def _message(known: Open, now: float, *, over: bool) -> Message:
    return Message(uuid.uuid4().hex, over, known.alert, _moment(known.since), _moment(now))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
