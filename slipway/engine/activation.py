"""An activation: one run of the engine for one release, and the facts that its phases share."""

import time
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.engine import causes, instances
from slipway.engine.errors import PhaseError
from slipway.engine.host import Host
from slipway.engine.systemd import UnitState
from slipway.engine.watch import Watch
from slipway.model.record import Record, Request
from slipway.model.states import Kind


@dataclass
class Activation:
    """One run of the engine for one release."""

    host: Host
    record: Record
    before: Record
    """The record as it was when the run began."""
    old: str | None
    """The release that was live when the run began."""
    began: float = field(default_factory=time.time)
    """When it began (epoch seconds): older lines of a unit belong to another activation."""
    began_monotonic: float = field(default_factory=time.monotonic)
    """The same in monotonic seconds, for how long it takes: the clock may be set meanwhile."""
    flipped_at: float = 0.0
    """When traffic was last pointed elsewhere (monotonic seconds)."""
    drained_from: float | None = None
    """The `flipped_at` after which the release was drained: once is enough, and may take as long as a request."""
    processes: list[str] = field(default_factory=list)
    """Units of its processes, besides the web server, that were started."""
    samples: dict[str, Any] | None = None
    """Figures of the watch of the phase that is running, for the record."""
    watch: Watch | None = None
    """Compares the release with the old one; None where there is nothing to compare, or no time for it."""

    @classmethod
    def begin(cls, host: Host, record: Record) -> "Activation":
        """Read the state of the host before anything is changed. A rollback is not watched: it is urgent."""
        run = cls(host, record, before=replace(record), old=host.releases.current())
        if run.old and host.site.watch_seconds and not run.is_rollback and run.request.watch:
            run.watch = Watch(host, run.release, run.old)
        return run

    @property
    def release(self) -> str:
        """The release that is to become live."""
        return self.record.release

    @property
    def request(self) -> Request:
        """The request that the run fulfils."""
        return self.record.request or Request()

    @property
    def service(self) -> str:
        """The unit of the release's web server."""
        return instances.service(self.release)

    @property
    def socket(self) -> str:
        """The unit of the web server's socket."""
        return instances.socket(self.release)

    @property
    def is_rollback(self) -> bool:
        """The release was live before."""
        return self.request.kind is Kind.ROLLBACK

    @property
    def is_held(self) -> bool:
        """The controller, which deploys to several hosts, confirms the release."""
        return bool(self.request.hold)

    @property
    def migrates(self) -> bool:
        """The release has migrations to run here. A rollback runs none: the schema stays. Of several hosts one does."""
        requested = self.request.migrate and not self.is_rollback
        return requested and (self.host.releases.path(self.release) / ".slipway/release").exists()

    @property
    def backs_up(self) -> bool:
        """The data are backed up before the migrations."""
        return self.migrates and self.host.site.backup and self.request.backup

    @property
    def hands_over(self) -> bool:
        """The release or the old one has singletons."""
        return any(instances.singletons(self.host, release) for release in (self.release, self.old) if release)

    def fail(self, what: str, unit: str, crashed: UnitState | None = None) -> PhaseError:
        """Return an error with its cause. `crashed`: the unit's state, if the unit ended by itself."""
        return PhaseError(causes.explain(what, self.host.systemd, unit, since=self.began, crashed=crashed))
