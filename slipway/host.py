"""One host: its settings, its releases, and the two services that the engine talks to."""

import socket
from dataclasses import dataclass, field
from pathlib import Path

from slipway import access_log, drift, identity
from slipway.config import Config
from slipway.probe import Front
from slipway.releases import Releases
from slipway.systemd import Systemd


@dataclass
class Host:
    """What every command works on."""

    config: Config
    releases: Releases = field(default_factory=Releases)
    systemd: Systemd = field(default_factory=Systemd)
    front: Front = field(default_factory=Front)
    units: Path = identity.UNITS
    secrets_hash: Path = identity.SECRETS_HASH
    access_log: Path = access_log.ACCESS_LOG
    drift_report: Path = drift.REPORT
    name: str = field(default_factory=socket.gethostname)

    @property
    def lock_file(self) -> Path:
        """Held by whoever activates."""
        return self.releases.root / ".lock"
