"""One host: its site, its releases, and the two services that the engine talks to."""

import socket
from dataclasses import dataclass, field
from pathlib import Path

from slipway.acme import settings as acme
from slipway.backup import report
from slipway.engine import access_log, drift, identity
from slipway.engine.probe import Front
from slipway.engine.releases import Releases
from slipway.engine.systemd import Systemd
from slipway.model import owner
from slipway.model.site import Site


@dataclass
class Host:
    """What every command works on."""

    site: Site
    releases: Releases = field(default_factory=Releases)
    systemd: Systemd = field(default_factory=Systemd)
    front: Front = field(default_factory=Front)
    units: Path = identity.UNITS
    runtime_units: Path = Path("/run/systemd/system")
    secrets_hash: Path = identity.SECRETS_HASH
    access_log: Path = access_log.ACCESS_LOG
    drift_report: Path = drift.REPORT
    owner: Path = owner.FILE
    acme: Path = acme.FILE
    backups: Path = report.FOLDER
    disks: tuple[Path, ...] = (Path("/var/lib/app"), Path("/var/lib/postgresql"), Path("/var/log"))
    """Folders that are written to, beside those of releases; each may be on a disk of its own."""
    name: str = field(default_factory=socket.gethostname)

    @property
    def written(self) -> tuple[Path, ...]:
        """Folders that are written to by anybody; each may be on a disk of its own."""
        return (Path("/"), self.releases.root, self.releases.folder, self.releases.sealed, *self.disks)

    @property
    def lock_file(self) -> Path:
        """Locked by the engine that activates, recovers or prunes."""
        return self.releases.root / ".lock"
