"""The facts of an OCI image that a deploy needs."""

import re
from dataclasses import dataclass, field

DEFAULT_PORT = 8000
"""Where an app listens whose image names no port."""


def is_port(text: str) -> bool:
    """Whether the value of a variable PORT is one that a server can listen on."""
    return re.fullmatch("0*[1-9][0-9]{0,4}", text) is not None and int(text) < 65536


@dataclass(frozen=True)
class Image:
    """The facts of an image's configuration."""

    name: str
    """As given to the deploy: a name, a name with a digest, or an id."""
    id: str
    """`sha256:...`"""
    architecture: str
    """As the image specification names it (GOARCH): amd64, arm64 ..."""
    commit: str | None = None
    """All 40 hex digits, and `-dirty` after them if it was built with changes; None where the image names no commit."""
    entrypoint: list[str] = field(default_factory=list)
    cmd: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    """Its own environment."""
    workdir: str = "/"
    ports: list[int] = field(default_factory=lambda: [DEFAULT_PORT])
    """On which the app may listen by itself, the best first."""

    @property
    def command(self) -> list[str]:
        """What starts the web server."""
        return [*self.entrypoint, *self.cmd]

    @property
    def short(self) -> str:
        """Seven hex digits that end the names of its releases: of the commit, or of the image without one."""
        return (self.commit or self.id.removeprefix("sha256:"))[:7]
