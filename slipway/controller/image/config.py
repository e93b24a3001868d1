"""An image's configuration, checked against the contract."""

import re
from typing import Any

from slipway.controller.image.errors import ImageError
from slipway.model.image import DEFAULT_PORT, Image, is_port
from slipway.model.names import is_dropped_from_image

ARCHITECTURES = ("amd64", "arm64", "386", "arm", "ppc64le", "riscv64", "s390x", "loong64")

_COMMIT = re.compile(r"[0-9a-f]{40}(-dirty)?\Z")
_PORT_OPTION = re.compile(r"""(?<!\S)(?:--port|-p|--bind|-b)[= ]?["']?(?:\S*:)?(?:\$\{\w+:-)?(\d{1,5})\}?["']?(?!\S)""")
"""Where servers are told in their command to listen: `--port 80`, `-b 0.0.0.0:80`, `--port ${PORT:-80}`."""
_UNUSED = {
    "User": ("USER", "the app runs as the host's user `app`"),
    "Volumes": ("VOLUME", "the app's data is in $STATE_DIRECTORY"),
    "Healthcheck": ("HEALTHCHECK", "the engine probes app_ready_path instead"),
}
"""Fields of the configuration that a deploy does not use, as the Dockerfile names them, and why."""


def read_image(name: str, inspected: dict[str, Any], command: str = "", port: int = 0) -> Image:
    """Read what `docker image inspect` says of an image.

    `command` runs by the image's shell instead of its own (app_command); `port` is where the app listens (app_port),
    0 for what the image says.

    Raises:
        ImageError: it breaks a line of the contract.
    """
    config = inspected.get("Config") or {}
    entrypoint, cmd = list(config.get("Entrypoint") or []), list(config.get("Cmd") or [])
    if command:
        entrypoint, cmd = [], ["/bin/sh", "-c", command]
    if not entrypoint + cmd:
        raise ImageError(
            f"The image {name!r} has no command: neither ENTRYPOINT nor CMD. They are what runs: add a CMD to "
            "its Dockerfile that serves HTTP, or set app_command.",
            line="socket",
        )
    architecture = str(inspected.get("Architecture") or "")
    if inspected.get("Os") != "linux" or architecture not in ARCHITECTURES:
        raise ImageError(
            f"The image {name!r} is for {inspected.get('Os') or 'no system'}/{architecture or 'no architecture'}. "
            f"It must be for linux and one of {', '.join(ARCHITECTURES)}: build it with --platform linux/<that>.",
            line="system",
        )
    workdir = config.get("WorkingDir") or "/"
    if not workdir.startswith("/"):
        raise ImageError(
            f"The image {name!r} has WORKDIR {workdir!r}. It must be absolute: correct its Dockerfile.", line="socket"
        )
    label = (config.get("Labels") or {}).get("org.opencontainers.image.revision") or ""
    return Image(
        name=name,
        id=str(inspected["Id"]),
        architecture=architecture,
        commit=label if _COMMIT.match(label) else None,
        entrypoint=entrypoint,
        cmd=cmd,
        env={name: value for name, value in _environment(config).items() if not is_dropped_from_image(name)},
        workdir=workdir,
        ports=[port] if port else own_ports(config, command),
    )


def own_ports(config: dict[str, Any], command: str = "") -> list[int]:
    """Ports on which the app may listen: $PORT, those of EXPOSE (8000 first), those in its command; else 8000.

    `config`: of the image, as Docker tells it; `command` runs instead of its own.
    """
    command = command or " ".join([*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])])
    exposed = {int(port.partition("/")[0]) for port in config.get("ExposedPorts") or {} if not port.endswith("/udp")}
    ports = sorted(exposed, key=lambda port: (port != DEFAULT_PORT, port))
    named = [_environment(config).get("PORT", ""), *map(str, ports), *_PORT_OPTION.findall(command)]
    return list(dict.fromkeys(int(port) for port in named if is_port(port))) or [DEFAULT_PORT]


def unused(inspected: dict[str, Any]) -> list[str]:
    """Sentences on the parts of an image's configuration that a deploy does not use."""
    config = inspected.get("Config") or {}
    reserved = sorted(filter(is_dropped_from_image, _environment(config)))
    notes = [f"ENV {name} is not used: the unit sets it." for name in reserved]
    return notes + [f"{line} is not used: {reason}." for key, (line, reason) in _UNUSED.items() if config.get(key)]


def _environment(config: dict[str, Any]) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in config.get("Env") or [])
