"""What provisioning wrote about the certificates, and where everything is."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from slipway.model.errors import SlipwayError

FILE = Path("/etc/slipway/acme.json")
USER = "nginx-acme"
"""Runs certbot. It cannot read what nginx serves."""
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


def folder(name: str) -> str:
    """Return the folder of a name: a wildcard's asterisk is an underscore, which no name of a host has."""
    return name.replace("*", "_")


@dataclass(frozen=True)
class Settings:
    """The certificates of a site."""

    names: tuple[str, ...]
    """Each has a certificate of its own."""
    directory: str = LETS_ENCRYPT
    """URL of the CA's directory."""
    email: str = ""
    """Where the CA writes to, if anywhere."""
    profile: str = ""
    """The CA's profile; empty for its default."""
    dns: str = ""
    """certbot's DNS plugin; empty for HTTP-01."""
    eab: bool = False
    """Whether there is an external account binding."""
    dns_seconds: int = 60
    """How long a DNS record takes until the CA sees it."""
    https_port: int = 443
    state: Path = field(default=Path("/var/lib/nginx-acme"))
    """Written by certbot's user."""
    served: Path = field(default=Path("/etc/nginx/acme"))
    """Written by root: what nginx reads."""

    @classmethod
    def load(cls, path: Path = FILE) -> Self | None:
        """Read the settings; None where no certificates are obtained. Unknown settings are of a newer Slipway.

        Raises:
            SlipwayError: the file is no JSON, or has no names.
        """
        try:
            values: dict[str, Any] = json.loads(path.read_text())
            known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
            paths = {name: Path(known[name]) for name in ("state", "served") if name in known}
            return cls(**known | paths | {"names": tuple(values["names"])})
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise SlipwayError(f"{path} is damaged ({error}). Type: slipway provision <environment>") from None

    @property
    def certbot(self) -> Path:
        """Certbot's own folder. Each CA has one: another directory has its own, while the old certificates serve."""
        return self.state / "private" / re.sub(r"[^A-Za-z0-9.-]+", "_", self.directory.partition("://")[2])

    @property
    def challenges(self) -> Path:
        """The webroot: nginx serves /.well-known/acme-challenge/ from it."""
        return self.state / "challenges"

    def ready(self, name: str) -> Path:
        """The newest certificate of a name with its key, for root to install."""
        return self.state / "ready" / f"{folder(name)}.pem"

    def record(self, name: str) -> Path:
        """How the last attempts for a name ended."""
        return self.state / "state" / f"{folder(name)}.json"

    def link(self, name: str) -> Path:
        """A link to the folder with the certificate and the key that nginx serves for a name."""
        return self.served / folder(name)
