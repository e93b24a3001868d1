"""One data host, and where its state is."""

import socket
from dataclasses import dataclass, field
from pathlib import Path

from slipway.backup import report
from slipway.engine.systemd import Systemd
from slipway.model import owner
from slipway.model.data_host import DataSettings


@dataclass
class DataHost:
    """What the status and the alerts look at. All of it is readable by everybody who may log in."""

    settings: DataSettings
    systemd: Systemd = field(default_factory=Systemd)
    owner: Path = owner.FILE
    backups: Path = report.FOLDER
    data: Path = Path("/var/lib/postgresql")
    name: str = field(default_factory=socket.gethostname)

    @property
    def written(self) -> tuple[Path, ...]:
        """Folders that are written to; each may be on a disk of its own."""
        return (Path("/"), self.data, Path("/var/log"))

    def services(self) -> dict[str, str]:
        """What systemd says of PostgreSQL and of the broker."""
        return {unit: self.systemd.state(unit).active for unit in self.settings.services}
