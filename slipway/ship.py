"""Receiving a release: room for its files, then its start scripts, mount points and record."""

import json
import os
import platform
import re
import shlex
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from slipway import identity, instances, lock
from slipway.errors import LockedError, SlipwayError, UsageError
from slipway.host import Host
from slipway.prune import prune
from slipway.releases import Record, Releases, check_name, now, remove_tree, write_atomically

RESERVE_BYTES = 100 * 1024 * 1024
"""Stays free after a release has arrived, for the app's data and the host's logs."""
RESERVE_INODES = 1000
STALE_SECONDS = 3600
"""A shipment that nobody sends files of for longer is nobody's any more: its controller is gone."""
GRACE_SECONDS = 60
"""The same where its room is needed: its controller may only wait for another host."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x"}
"""Names of the same machines: the kernel's and the image specification's (GOARCH)."""

MOUNT_POINTS = ("dev", "etc", "proc", "run", "sys", "tmp", "var/lib/app", "var/tmp")
"""What systemd mounts on. Made by PID 1 they would be root's, and `deploy` could not remove the release."""

NAME_RESOLUTION = {"etc/resolv.conf": "resolv.conf", "etc/hosts": "hosts"}
"""Links to the host's own, which the units bind to /run/name-resolution."""

UNIT_OWNED = {
    *("APP_PRELOAD", "MEMORY_MAX"),
    *("GUNICORN_CMD_ARGS", "FORWARDED_ALLOW_IPS", "WEB_CONCURRENCY", "WORKLOAD", "HOME", "HOSTNAME", "TMPDIR"),
    *("STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET"),
}
"""Set by the unit for this host; an image's own value would have been meant for a container."""

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
RESERVED = {"env", "run", "process", "jobs"}
"""What `/.slipway` has that is no process of the app's: its environment, what `slipway run` was asked, the way from a
unit to its process, and the jobs."""
START_PROCESS = """#!/bin/sh
# Of the unit app-worker.1@ the line `worker` of the Procfile.
name=${1#app-}
exec "/.slipway/${name%.*}"
"""
PROCESS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


def architecture() -> str:
    """This host's CPU architecture, as images name it."""
    machine = platform.machine()
    return ARCHITECTURES.get(machine, machine)


@dataclass(frozen=True)
class Manifest:
    """What the controller says of a release that it wants to ship."""

    image: str
    """The image's identifier, `sha256:...`."""
    architecture: str
    commit: str | None = None
    image_name: str = ""
    entrypoint: list[str] = field(default_factory=list)
    cmd: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    """The image's own environment."""
    workdir: str = "/"
    procfile: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    """Commands that timers run, by name."""
    settings: dict[str, str] = field(default_factory=dict)
    """The environment's settings that are not secret; they win over the image's environment."""
    secrets_as_environment: list[str] = field(default_factory=list)
    bytes: int = 0
    inodes: int = 0
    by: str = ""

    @classmethod
    def parse(cls, text: str) -> "Manifest":
        """Read a manifest.

        Raises:
            UsageError: it is not one.
        """
        try:
            values = {name: value for name, value in json.loads(text).items() if value is not None}
            for name, kind in get_type_hints(cls).items():
                if name in values and not _is(values[name], kind):
                    raise ValueError(f"{name} is {values[name]!r}")
            manifest = cls(**{name: values[name] for name in values if name in cls.__dataclass_fields__})
        except (ValueError, TypeError, AttributeError) as error:
            raise UsageError(f"the manifest on standard input cannot be read: {error}") from None
        if not manifest.entrypoint and not manifest.cmd:
            raise UsageError("the image has no command: give its Dockerfile a CMD or an ENTRYPOINT")
        for name in (*manifest.settings, *manifest.secrets_as_environment):
            if not VARIABLE.fullmatch(name):
                raise UsageError(f"{name!r} cannot be the name of a variable: use letters, digits and _")
        for name in (*manifest.procfile, *manifest.jobs):
            if not PROCESS.fullmatch(name):
                raise UsageError(f"{name!r} cannot be the name of a process or a job: use letters, digits, - and _")
        for name in manifest.procfile:
            if name in RESERVED:
                raise UsageError(f"{name!r} is Slipway's own name: call that process of the Procfile something else")
        return manifest


def _is(value: Any, kind: Any) -> bool:
    """Whether a value of the manifest has the type that its field says."""
    if kind == list[str]:
        return isinstance(value, list) and all(_is(each, str) for each in value)
    if kind == dict[str, str]:
        return isinstance(value, dict) and all(_is(each, str) for each in value.values())
    # A NUL can be in no file name, argument or variable.
    return isinstance(value, kind) and not (isinstance(value, str) and "\0" in value)


def release_identity(manifest: Manifest, units: Path, secrets: Path) -> dict[str, str]:
    """What the release would be the same by; see `identity`."""
    settings = [manifest.settings, manifest.secrets_as_environment, manifest.jobs]
    return {
        "image": manifest.image,
        "settings": identity.digest(settings),
        "secrets": identity.secrets_hash(secrets),
        "units": identity.units_hash(units),
    }


def begin(host: Host, release: str, manifest: Manifest) -> dict[str, object]:
    """Make room for a release and say where its files go.

    Raises:
        UsageError: the name or the architecture is wrong.
        SlipwayError: there is no room, or the release is here already.
    """
    releases = host.releases
    check_name(release)
    if manifest.architecture != architecture():
        raise UsageError(
            f"the image {manifest.image_name} is for {manifest.architecture} and this host is {architecture()}: "
            f"build it with `docker build --platform linux/{architecture()}`"
        )
    _check_processes(host, manifest)
    live = releases.current()
    wanted = release_identity(manifest, host.units, host.secrets_hash)
    answer: dict[str, object] = {
        "unchanged": False,
        "live": live,
        "partial": str(releases.partial(release)),
        "link_dest": str(releases.path(live)) if live else None,
    }
    if live and releases.known(live).identity == wanted and _runs(host, live):
        return answer | {"unchanged": True}
    if releases.path(release).exists():
        raise SlipwayError(f"release {release} is on this host already: activate it, or ship under a new name")
    _remove_stale(releases, release, STALE_SECONDS)
    _require_room(host, manifest)
    partial = releases.partial(release)
    releases.folder.mkdir(exist_ok=True)
    write_atomically(_manifest_file(releases, release), json.dumps(asdict(manifest)))
    partial.mkdir(mode=0o755)
    return answer


def _check_processes(host: Host, manifest: Manifest) -> None:
    """Compare what the image and the inventory have with what this host was provisioned for."""
    config = host.config
    if missing := [name for name in (*config.processes, *config.single_processes) if name not in manifest.procfile]:
        raise UsageError(
            f"app_processes has {', '.join(missing)}, and the Procfile of {manifest.image_name} has "
            f"{', '.join(manifest.procfile) or 'nothing'}: add the line there, or take the process out of "
            "app_processes and provision again"
        )
    for name in (*config.processes, *config.single_processes):
        if not (line := manifest.procfile[name]).startswith("exec "):
            raise UsageError(
                f"the Procfile of {manifest.image_name} has `{name}: {line}`, and a shell would stand between systemd "
                f"and that program: it would be killed instead of asked to finish. Write `{name}: exec {line}`"
            )
    if different := sorted(set(manifest.jobs) ^ set(config.jobs)):
        raise UsageError(
            f"app_jobs has {', '.join(manifest.jobs) or 'nothing'} and this host was provisioned for "
            f"{', '.join(config.jobs) or 'nothing'} ({', '.join(different)}): provision it again"
        )


def _runs(host: Host, release: str) -> bool:
    """Whether all of a release is up."""
    return all(host.systemd.state(unit).running for unit in instances.services(host, release))


def cancel(host: Host, release: str) -> None:
    """Remove what has arrived of a release that will not be completed: a full disk must not stay full."""
    check_name(release)
    remove_tree(host.releases.partial(release))
    _manifest_file(host.releases, release).unlink(missing_ok=True)


def end(host: Host, release: str) -> Record:
    """Complete a release whose files have arrived.

    Raises:
        SlipwayError: `begin` was not called for it.
    """
    releases = host.releases
    check_name(release)
    partial, file = releases.partial(release), _manifest_file(releases, release)
    if not partial.is_dir() or not file.exists():
        raise SlipwayError(f"no shipment of {release} is under way: run `ansible-playbook deploy.yml` again")
    manifest = Manifest.parse(file.read_text())
    if not os.path.lexists(partial / "bin/sh"):
        raise SlipwayError(f"the image {manifest.image_name} has no /bin/sh, which its start script needs: add a shell")
    _prepare_mounts(partial)
    _write_scripts(partial, release, manifest)
    record = Record(
        release=release,
        commit=manifest.commit,
        image=manifest.image,
        image_name=manifest.image_name,
        identity=release_identity(manifest, host.units, host.secrets_hash),
        shipped_at=now(),
        request={"by": manifest.by},
    )
    releases.save(record)
    partial.rename(releases.path(release))
    file.unlink()
    return record


def start_scripts(release: str, manifest: Manifest) -> dict[str, str]:
    """The files of `/.slipway`: `env` with the environment, `web`, one for each line of the Procfile and each job."""
    own = {"SLIPWAY_RELEASE": release, "SLIPWAY_COMMIT": manifest.commit or "", "SLIPWAY_IMAGE": manifest.image}
    image = {name: value for name, value in manifest.env.items() if name not in UNIT_OWNED and VARIABLE.fullmatch(name)}
    lines = [
        "# Written by Slipway when the release was shipped: the image's environment, then the settings.",
        f"cd {shlex.quote(manifest.workdir or '/')} || exit",
        *(f"export {name}={shlex.quote(value)}" for name, value in (image | manifest.settings | own).items()),
        *(
            f'{name}=$(cat "$CREDENTIALS_DIRECTORY/{name}") || exit; export {name}'
            for name in manifest.secrets_as_environment
        ),
    ]
    scripts = {"env": "\n".join(lines) + "\n", "process": START_PROCESS}
    commands = {"web": "exec " + shlex.join([*manifest.entrypoint, *manifest.cmd])}
    commands |= {name: line for name, line in manifest.procfile.items() if name != "web"}
    commands |= {f"jobs/{name}": line for name, line in manifest.jobs.items()}
    for name, command in commands.items():
        scripts[name] = f"#!/bin/sh\n. /.slipway/env\n{command}\n"
    return scripts


def _write_scripts(root: Path, release: str, manifest: Manifest) -> None:
    folder = root / ".slipway"
    remove_tree(folder) if folder.is_dir() and not folder.is_symlink() else folder.unlink(missing_ok=True)
    folder.mkdir(mode=0o755)
    for name, text in start_scripts(release, manifest).items():
        file = folder / name
        file.parent.mkdir(mode=0o755, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)


def _prepare_mounts(root: Path) -> None:
    for name in MOUNT_POINTS:
        point = root
        for part in Path(name).parts:
            point = point / part
            if point.is_symlink() or (point.exists() and not point.is_dir()):
                what = "a symbolic link" if point.is_symlink() else "a file"
                raise SlipwayError(
                    f"/{point.relative_to(root)} is {what} in the image, and systemd mounts on it: "
                    "make it a folder in the Dockerfile"
                )
            point.mkdir(mode=0o755, exist_ok=True)
    for name, target in NAME_RESOLUTION.items():
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(f"/run/name-resolution/{target}")


def _manifest_file(releases: Releases, release: str) -> Path:
    return releases.folder / f".{release}.manifest.json"


def _remove_stale(releases: Releases, release: str, seconds: float) -> None:
    """Remove what is left of this release's earlier shipment, and of those that nobody finished.

    Never rsync into an old partial: its files are hard links to an older release's, which would change with them.
    """
    for file in releases.folder.glob(".*.manifest.json"):
        name = file.name.removeprefix(".").removesuffix(".manifest.json")
        partial = releases.partial(name)
        old = time.time() - file.stat().st_mtime > seconds
        if name == release or (old and not _is_received(partial)):
            remove_tree(partial)
            file.unlink(missing_ok=True)
    remove_tree(releases.partial(release))


def _is_received(partial: Path) -> bool:
    """Whether an rsync writes there: its command names the folder."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if os.fsencode(partial) in process.read_bytes():
                return True
    return False


def _require_room(host: Host, manifest: Manifest) -> None:
    need_bytes, need_inodes = manifest.bytes + RESERVE_BYTES, manifest.inodes + RESERVE_INODES

    def short(free: dict[str, int]) -> bool:
        return free["free_bytes"] < need_bytes or free["free_inodes"] < need_inodes

    if short(disk(host.releases)):
        _remove_stale(host.releases, "", GRACE_SECONDS)
    if short(disk(host.releases)):
        # Shipped and never activated, or too many since `keep` was lowered: no activation came to prune them.
        with (
            suppress(LockedError),
            lock.held(host.lock_file, {"release": lock.MAKES_ROOM, "by": manifest.by, "since": now()}),
        ):
            prune(host)
    if short(free := disk(host.releases)):
        raise SlipwayError(
            f"not enough room on {host.releases.root}: the release needs {need_bytes >> 20} MiB and {need_inodes} "
            f"inodes (with a reserve), {free['free_bytes'] >> 20} MiB and {free['free_inodes']} inodes are free. "
            "Lower release_keep, or make the disk larger."
        )


def disk(releases: Releases) -> dict[str, int]:
    """Free bytes and inodes where releases are kept."""
    where = releases.folder if releases.folder.is_dir() else releases.root  # which may be a disk of its own
    usage = os.statvfs(where)
    inodes = usage.f_favail if usage.f_files else sys.maxsize  # btrfs has no fixed number, and says 0
    return {"free_bytes": shutil.disk_usage(where).free, "free_inodes": inodes}
