"""One thing that is wrong, and the message about it."""

from dataclasses import asdict, dataclass
from typing import Any

from slipway.engine.terminal import printable

MAX_DETAIL = 1000


@dataclass(frozen=True)
class Alert:
    """Something that is wrong just now."""

    key: str
    """What it is, the same at each check: `disk:/var`."""
    title: str
    detail: str = ""
    next: str = ""
    """What to type."""
    mark: str = ""
    """Another mark under the same key is told again: a second deploy that failed."""

    @property
    def kind(self) -> str:
        """The first word of its key."""
        return self.key.partition(":")[0]


@dataclass(frozen=True)
class Place:
    """Where it is wrong."""

    host: str
    project: str = ""
    environment: str = ""


@dataclass(frozen=True)
class Message:
    """What a receiver is told, once."""

    id: str
    over: bool
    alert: Alert
    since: str
    """When it began (ISO 8601)."""
    at: str
    """When that was noticed: delivery may be later."""

    def to_json(self) -> dict[str, Any]:
        """The document that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Message":
        """Read what `to_json` wrote."""
        return cls(**values | {"alert": Alert(**values["alert"])})

    def subject(self, place: Place) -> str:
        """One line: whether it is over, where and what."""
        where = " ".join(filter(None, (place.environment, place.host)))
        return _line(f"{'OK' if self.over else 'ALERT'} [{where}] {self.alert.title}")

    def body(self, place: Place) -> str:
        """The lines below the subject."""
        where = ", ".join(filter(None, (place.host, place.environment, place.project)))
        times = f"from {self.since} to {self.at}" if self.over else f"since {self.since}"
        detail = printable(self.alert.detail)[:MAX_DETAIL]
        lines = [] if self.over else [detail]
        lines += [f"where: {where}", f"when: {times}"]
        lines += [f"next: {self.alert.next}"] if self.alert.next and not self.over else []
        return "\n".join(filter(None, lines))


def _line(text: str) -> str:
    return " ".join(printable(text).split())[:200]
