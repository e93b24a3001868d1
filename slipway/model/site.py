"""The site as the engine knows it: the settings that provisioning wrote on the host."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from slipway.model.errors import SlipwayError

FILE = Path("/etc/slipway/config.json")


@dataclass(frozen=True)
class Site:
    """The settings of a site. Times are in whole seconds."""

    ready_path: str
    """Path that answers 2xx when the app can serve."""
    version_path: str | None
    """Path that tells the release as JSON; None when the app has none."""
    probe_host: str
    """Host header of the engine's own requests; one of the site's names."""
    front_url: str
    """Where nginx listens on the loopback, for example http://127.0.0.1:80."""
    request_timeout: int
    """The longest that a request may take: bounds the drain of the old release."""
    start_timeout: int
    """How long a new release may take until it is ready."""
    migrate_timeout: int
    """How long its migrations may take."""
    keep: int
    """How many releases stay on disk."""
    # What came later has a value, so that a host whose provisioning stopped half-way still serves.
    probe_scheme: str = "http"
    """X-Forwarded-Proto of the engine's own requests: the scheme that clients use."""
    watch_seconds: int = 0
    """How long a new release is compared with the one before it, first with a slice of the traffic, then with all of
    it. 0: not at all."""
    watch_errors: float = 0.01
    """How much larger its share of failed requests may be, 0 to 1."""
    watch_slower: float = 3.0
    """How many times the old release's median an answer may take before it counts as a slow one."""
    processes: dict[str, int] = field(default_factory=dict)
    """Processes of the Procfile that run on this host, and how many of each."""
    single_processes: list[str] = field(default_factory=list)
    """Processes that run once on all hosts, if this host is the one."""
    jobs: list[str] = field(default_factory=list)
    """Names of the scheduled jobs. Every host knows them, on one their timers run."""
    backup: bool = False
    """The host has backups: one is made before migrations."""
    version: str | None = None
    """The version of Slipway that provisioned the host; None before 0.9."""

    @classmethod
    def load(cls, path: Path = FILE) -> Self:
        """Read the settings. Unknown ones are of a newer Slipway and are left out.

        Raises:
            SlipwayError: the file is missing, is not JSON or lacks a value.
        """
        try:
            values = json.loads(path.read_text())
            return cls(**{name: values[name] for name in cls.__dataclass_fields__ if name in values})
        except FileNotFoundError:
            raise SlipwayError(
                f"{path} does not exist: this host is not provisioned. Run `ansible-playbook site.yml` for it."
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise SlipwayError(
                f"{path} is not what this engine needs ({type(error).__name__}: {error}). "
                "Run `ansible-playbook site.yml` to write the file again."
            ) from None

    def to_json(self) -> dict[str, Any]:
        """The settings as they stand in the file."""
        return asdict(self)
