"""Everything that can be set from outside, in one object.

A value comes from the environment or, for a secret, from the file of that name in `$CREDENTIALS_DIRECTORY`
(systemd's LoadCredential, and as well Docker's and Kubernetes' secrets when the variable names their folder).
"""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The settings of one process. Made when the process starts serving, never when a module is imported."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    database_url: SecretStr | None = None
    """`postgresql://user:password@host/name`. Without it the database is a SQLite file in the state directory."""

    database_connections: Annotated[int, Field(ge=1, le=1000)] = 20
    """Most connections that this release opens to Postgres, over all its workers. During a cutover two releases run."""

    migration_lock_seconds: Annotated[float, Field(ge=0.1, le=60)] = 2
    """Longest that a migration waits for a table on Postgres: as long do all requests wait that come after it."""

    broker_url: SecretStr | None = None
    """Valkey or Redis, which holds the tasks for `worker`: `redis://user:password@host/0`, or `redis+socket:///path`.
    Without it there is no queue, and what needs one answers 503."""

    task_seconds: Annotated[int, Field(ge=1, le=3600)] = 30
    """Longest that a task may take. How long the broker waits for a lost one follows from it (see `app.worker`)."""

    task_processes: Annotated[int, Field(ge=0, le=256)] = 0
    """Tasks that one `worker` runs at a time, each in a process and with a connection of its own; 0: one per CPU."""

    state_directory: Path = Path("var")
    """The only folder, besides /tmp, that the app may write to."""

    replicas: Annotated[int, Field(ge=1)] = 1
    """Most containers or pods of this release that may run at once (`kubernetes/` and `swarm/` set it); a VM is one."""

    web_concurrency: Annotated[int, Field(ge=1)] = 1
    """Workers of this release; server/ decides the number and tells it here. Plain `uvicorn` is one process."""

    slipway_release: str = "dev"
    slipway_commit: str = "unknown"
    slipway_image: str = "none"

    @classmethod
    def load(cls) -> "Settings":
        """Read the environment and the credentials of this process.

        Raises pydantic's ValidationError, which names the variable, for a value that cannot be.
        """
        return cls(_secrets_dir=os.environ.get("CREDENTIALS_DIRECTORY"))

    @field_validator("database_url")
    @classmethod
    def _asyncpg(cls, url: SecretStr | None) -> SecretStr | None:
        """Let every common spelling of a Postgres URL mean the one driver that is installed."""
        if (parts := _parts(url)) is None:
            return None
        scheme, separator, rest = parts
        if not separator or scheme not in {"postgres", "postgresql", "postgresql+asyncpg"}:
            raise ValueError("must start with postgresql:// (leave it unset for the embedded SQLite)")
        return SecretStr(f"postgresql+asyncpg://{rest}")

    @field_validator("broker_url")
    @classmethod
    def _redis(cls, url: SecretStr | None) -> SecretStr | None:
        """Let Valkey's own spelling mean the driver, which knows Redis's only: they speak the same."""
        if (parts := _parts(url)) is None:
            return None
        scheme, separator, rest = parts
        scheme = scheme.replace("valkey", "redis")
        if not separator or scheme not in {"redis", "rediss", "redis+socket"}:
            raise ValueError("must start with redis://, rediss:// or redis+socket:// (leave it unset for no queue)")
        return SecretStr(f"{scheme}://{rest}")

    @field_validator("state_directory", mode="before")
    @classmethod
    def _first(cls, value: object) -> object:
        """Take the first folder: systemd joins several by a colon."""
        return value.split(":")[0] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _enough_connections(self) -> "Settings":
        if self.database_url and self.database_connections < self.web_concurrency:
            raise ValueError(
                f"DATABASE_CONNECTIONS={self.database_connections} cannot be shared by {self.web_concurrency} workers: "
                f"set it to {self.web_concurrency} or more, or WEB_CONCURRENCY to less"
            )
        return self

    @model_validator(mode="after")
    def _one_database(self) -> "Settings":
        if self.embedded and self.replicas > 1:
            raise ValueError(
                f"REPLICAS={self.replicas}, and without DATABASE_URL each of them has a database of its own: "
                "set DATABASE_URL=postgresql://user:password@host/name (in Kubernetes the key database_url of the "
                "Secret app, in Swarm the secret database_url), or REPLICAS=1"
            )
        return self

    @property
    def embedded(self) -> bool:
        """True when the database is the SQLite file of this host."""
        return self.database_url is None

    @property
    def connections_per_worker(self) -> int:
        """The share of one worker: every process has a pool of its own."""
        return self.database_connections // self.web_concurrency


def _parts(url: SecretStr | None) -> tuple[str, str, str] | None:
    """Split a URL into its scheme, `://` and the rest; None for one that is not set or empty."""
    value = url.get_secret_value().strip() if url else ""
    return value.partition("://") if value else None
