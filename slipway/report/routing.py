"""Which release each slice of the traffic led to, by the phases of the activations."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Phase:
    """A phase of an activation."""

    name: str
    at: float
    """When it began, in epoch seconds."""
    seconds: float

    @property
    def end(self) -> float:
        """The end, in epoch seconds."""
        return self.at + self.seconds


@dataclass(frozen=True)
class Routing:
    """The release of each slice of the traffic, from a moment on."""

    at: float
    live: str
    canary: str


class Activation(Protocol):
    """A deploy or a rollback, oldest first."""

    @property
    def release(self) -> str:
        """The release that it makes live."""

    @property
    def before(self) -> str:
        """The release that was live at the start."""

    @property
    def phases(self) -> Sequence[Phase]:
        """The phases that have ended."""


def routings(activations: Iterable[Activation]) -> list[Routing]:
    """Return the release of each slice and every change of it, oldest first.

    nginx may use a connection to the earlier release for two seconds longer.
    """
    changes: list[Routing] = []
    for each in activations:
        new, old = each.release, each.before
        changes = changes or [Routing(-math.inf, old, old)]
        watched = any(phase.name == "canary" for phase in each.phases)
        for phase in each.phases:
            match phase.name:
                case "canary":
                    changes.append(Routing(phase.end, old, new))
                case "cutover":
                    changes.append(Routing(phase.end, new, old if watched else new))
                case "complete":
                    changes.append(Routing(phase.end, new, new))
                case "abort":
                    changes.append(Routing(phase.at, old, old))
    return changes
