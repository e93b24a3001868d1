"""What is known of a release on a host: its record, the activation that was requested last, and the phases of that."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from slipway.model.states import (
    ACTIVATION_TRANSITIONS,
    RELEASE_TRANSITIONS,
    ActivationState,
    Kind,
    ReleaseState,
    follow,
)

REQUEST_KEYS = {"origin": "from", "requested_at": "at", "replaces": "before"}
"""Fields of a request that have another name in the JSON document."""
OLD_FIGURES = {"tries": "attempts", "bad": "failed"}


@dataclass(frozen=True)
class Request:
    """A requested activation: a deploy or a rollback."""

    kind: Kind = Kind.DEPLOY
    by: str | None = None
    origin: str | None = None
    """The address that the request came from; None on the host itself."""
    id: str = ""
    requested_at: str | None = None
    state: ActivationState = ActivationState.REQUESTED
    lock_wait: float = 0
    """Seconds to queue behind another activation."""
    hold: float = 0
    """Seconds to wait to be confirmed before the old release gets its traffic back; 0: not held."""
    migrate: bool = True
    """False: another host runs the migrations."""
    backup: bool = True
    """False: the data are not backed up before the migrations, although the host has backups."""
    watch: bool = True
    """False: the release is not compared with the one before it."""
    replaces: str | None = None
    """The release that was live when it began."""

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self | None:
        """Read a request; None if the document has none. Unknown keys are a newer engine's and are left out.

        Raises:
            ValueError: a state or a kind is none.
        """
        if document.keys() <= {"by"}:
            return None
        values = {
            name: document[key]
            for name in cls.__dataclass_fields__
            if (key := REQUEST_KEYS.get(name, name)) in document
        }
        values["state"] = ActivationState(values.get("state", ActivationState.REQUESTED))
        values["kind"] = Kind(values.get("kind", Kind.DEPLOY))
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """The document that `from_json` reads."""
        return {REQUEST_KEYS.get(name, name): value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class PhaseRun:
    """A phase that has ended."""

    name: str
    seconds: float
    at: str | None = None
    """When it began."""
    samples: dict[str, Any] | None = None
    """Figures of a watch: of the `traffic` and of its own `probes`, for the `new` release and the `old` one."""

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read a phase; `saw` is what engines before 0.9 wrote instead of `samples`."""
        values = {name: document[name] for name in cls.__dataclass_fields__ if name in document}
        if old := document.get("saw"):
            values["samples"] = {
                {"asked": "probes"}.get(kind, kind): {
                    which: {OLD_FIGURES.get(name, name): value for name, value in figures.items()}
                    for which, figures in pair.items()
                }
                for kind, pair in old.items()
            }
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """The document that `from_json` reads."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass
class Record:
    """What is known of a release; kept beside its files as `<release>.json`."""

    release: str
    commit: str | None = None
    image: str = ""
    image_name: str = ""
    identity: dict[str, str] = field(default_factory=dict)
    """Hashes of what makes two releases the same: image, settings, secrets, units."""
    state: ReleaseState = ReleaseState.SHIPPED
    healthy: bool = False
    """It has been live and passed every check, and no later return to it failed: a rollback goes there by itself."""
    previous: str | None = None
    """The release that was live when this one was deployed: where a rollback from here goes."""
    shipped_at: str | None = None
    shipped_by: str | None = None
    live_at: str | None = None
    retired_at: str | None = None
    port: int | None = None
    """The port that its app listens on by itself; None: it serves on the handed socket."""
    request: Request | None = None
    """The latest activation; None where none was requested."""
    phase: str | None = None
    """The phase that the activation is in, None when it has ended."""
    phases: list[PhaseRun] = field(default_factory=list)
    """The phases of the latest activation that have ended."""
    snapshot: str | None = None
    """The backup that the latest activation made before its migrations."""
    cause: str | None = None
    """Why it failed."""
    warnings: list[str] = field(default_factory=list)

    @property
    def was_healthy(self) -> bool:
        """Whether it has been live and passed every check. A rollback that names it goes there.

        What kept it from returning later may be gone, as a database that was down or has its data of before again. A
        host that was cleaned knows nothing of what made the release.
        """
        return self.healthy or bool(self.live_at and self.identity)

    @property
    def by(self) -> str | None:
        """Who requested its latest activation, or shipped it where there was none."""
        return self.request.by if self.request else self.shipped_by

    @property
    def activation(self) -> ActivationState | None:
        """How far its latest activation is; None where there was none."""
        return self.request.state if self.request else None

    def become(self, state: ReleaseState) -> None:
        """Change the state of the release.

        Raises:
            TransitionError: that state does not follow from the one it is in.
        """
        self.state = follow(f"release {self.release}", self.state, state, RELEASE_TRANSITIONS)

    def advance(self, state: ActivationState) -> None:
        """Change the state of its activation.

        Raises:
            TransitionError: that state does not follow from the one it is in.
        """
        request = self.request or Request(by=self.shipped_by)
        what = f"the activation of {self.release}"
        self.request = replace(request, state=follow(what, request.state, state, ACTIVATION_TRANSITIONS))

    def reopen(self) -> None:
        """Begin the latest activation anew if it has ended: the unit of its engine was started by hand."""
        if self.request is None or self.request.state.ended:
            request = self.request or Request(by=self.shipped_by)
            self.request = replace(request, state=ActivationState.REQUESTED)

    @classmethod
    def from_json(cls, release: str, document: dict[str, Any]) -> Self:
        """Read a record, also one of an engine before 0.9. Unknown keys are a newer engine's and are left out.

        Raises:
            ValueError: a state is none.
            TypeError, AttributeError: a value has the wrong type.
        """
        values = {name: value for name, value in document.items() if name in cls.__dataclass_fields__}
        request = values.pop("request", None) or {}
        values["request"] = Request.from_json(request)
        # Engines before 0.9 wrote a request with nothing else in it.
        values.setdefault("shipped_by", request.get("by"))
        values["state"] = ReleaseState(values.get("state", ReleaseState.SHIPPED))
        values["phases"] = [PhaseRun.from_json(phase) for phase in values.get("phases", [])]
        return cls(**values | {"release": release})

    def to_json(self) -> dict[str, Any]:
        """The document that `from_json` reads, and engines before 0.9 as well."""
        return asdict(self) | {
            "request": self.request.to_json() if self.request else {"by": self.shipped_by},
            "phases": [phase.to_json() for phase in self.phases],
        }
