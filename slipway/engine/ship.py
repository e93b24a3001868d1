"""Receiving a release: room for its files, then its record, and its sealing."""

import os
import platform
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from slipway.engine import identity, instances, lock, tree
from slipway.engine.durable import write_atomically
from slipway.engine.errors import LockedError, SystemdError
from slipway.engine.files import read_regular
from slipway.engine.host import Host
from slipway.engine.lock import Holder, Purpose
from slipway.engine.prune import prune
from slipway.engine.releases import Releases, now, remove_tree
from slipway.engine.room import RESERVE_BYTES, RESERVE_INODES, disk
from slipway.engine.shipment import Shipment
from slipway.model.errors import SlipwayError, UsageError
from slipway.model.manifest import Manifest
from slipway.model.names import check_release
from slipway.model.record import Record

STALE_SECONDS = 3600
"""A shipment that gets no files for longer is abandoned: its controller is gone."""
GRACE_SECONDS = 60
"""The same where its room is needed: its controller may only wait for another host."""
SEAL_SECONDS = 600
"""What sealing may take (seal@.service): the first release of a large image, on a slow disk."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x"}
"""Names of the same machines: the kernel's and the image specification's (GOARCH)."""


def architecture() -> str:
    """This host's CPU architecture, as images name it."""
    machine = platform.machine()
    return ARCHITECTURES.get(machine, machine)


def release_identity(manifest: Manifest, units: Path, secrets: Path) -> dict[str, str]:
    """The hashes by which two releases are the same; see `identity`."""
    settings = [manifest.settings, manifest.secrets_as_environment, manifest.jobs, *filter(None, [manifest.writable])]
    return {
        "image": manifest.image.id,
        "settings": identity.digest(settings),
        "secrets": identity.secrets_hash(secrets),
        "units": identity.units_hash(units),
    }


def begin(host: Host, release: str, manifest: Manifest, *, force: bool = False) -> dict[str, object]:
    """Make room for a release. Returns where its files go, or that it is live: its controller compares the files.

    `force`: make room even if the live release has the same record, because its files differ.

    Raises:
        UsageError: the name or the architecture is wrong.
        SlipwayError: there is no room, or the release is here already.
    """
    releases = host.releases
    check_release(release)
    image = manifest.image
    if image.architecture != architecture():
        raise UsageError(
            f"the image {image.name} is for {image.architecture} and this host is {architecture()}: "
            f"build it with `docker build --platform linux/{architecture()}`"
        )
    _check_manifest(host, manifest)
    live = releases.current()
    new_identity = release_identity(manifest, host.units, host.secrets_hash)
    answer: dict[str, object] = {
        "unchanged": False,
        "live": live,
        "partial": str(releases.partial(release)),
        # Controllers before sealing send all files where this is null: `deploy` may not link the sealed ones.
        "link_dest": None,
        "compare_dest": str(releases.path(live)) if live else None,
    }
    record = releases.known(live) if live else None
    if live and record and not force and record.identity == new_identity and _runs(host, live):
        # Who has the deploy key can ship other files under the name of this image.
        same = replace(manifest, image=replace(image, commit=record.commit))
        if tree.has_scripts(releases.path(live), live, same):
            return answer | {"unchanged": True, "filters": tree.rsync_filters(manifest.writable)}
    if releases.path(release).exists():
        raise SlipwayError(f"release {release} is on this host already: activate it, or ship under a new name")
    _remove_stale(releases, release, STALE_SECONDS)
    _require_room(host, manifest)
    partial = releases.partial(release)
    releases.folder.mkdir(exist_ok=True)
    write_atomically(releases.shipment(release), Shipment(live, manifest).to_text())
    partial.mkdir(mode=0o755)
    return answer


def check_processes(names: Iterable[str], manifest: Manifest) -> None:
    """Compare the processes that the inventory names with the image's Procfile.

    Raises:
        UsageError: one is not there, or a shell would stay its parent.
    """
    names = list(names)
    if missing := [name for name in names if name not in manifest.procfile]:
        raise UsageError(
            f"app_processes has {', '.join(missing)}, and the Procfile of {manifest.image.name} has "
            f"{', '.join(manifest.procfile) or 'nothing'}: add the line there, or take the process out of "
            "app_processes and provision again"
        )
    for name in names:
        if not (line := manifest.procfile[name]).startswith("exec "):
            raise UsageError(
                f"the Procfile of {manifest.image.name} has `{name}: {line}`, and a shell would stand between systemd "
                f"and that program: a stop would kill it instead of letting it finish. Write `{name}: exec {line}`"
            )


def _check_manifest(host: Host, manifest: Manifest) -> None:
    """Compare the processes and jobs of the image and the inventory with those that this host was provisioned for."""
    site = host.site
    check_processes((*site.processes, *site.single_processes), manifest)
    if different := sorted(set(manifest.jobs) ^ set(site.jobs)):
        raise UsageError(
            f"app_jobs has {', '.join(manifest.jobs) or 'nothing'} and this host was provisioned for "
            f"{', '.join(site.jobs) or 'nothing'} ({', '.join(different)}): provision it again"
        )


def _runs(host: Host, release: str) -> bool:
    """Whether all units of a release are up."""
    return all(host.systemd.state(unit).running for unit in instances.services(host, release))


def cancel(host: Host, release: str) -> None:
    """Remove the files of a release that will not be completed: a full disk must not stay full."""
    check_release(release)
    remove_tree(host.releases.partial(release))
    host.releases.shipment(release).unlink(missing_ok=True)


def end(host: Host, release: str) -> Record:
    """Complete a release whose files have arrived.

    Raises:
        SlipwayError: `begin` was not called for it.
    """
    releases = host.releases
    check_release(release)
    partial, file = releases.partial(release), releases.shipment(release)
    if not partial.is_dir() or not file.exists():
        raise SlipwayError(f"no shipment of {release} is under way: run `ansible-playbook deploy.yml` again")
    manifest = Shipment.parse(read_regular(file)).manifest
    record = Record(
        release=release,
        commit=manifest.image.commit,
        image=manifest.image.id,
        image_name=manifest.image.name,
        identity=release_identity(manifest, host.units, host.secrets_hash),
        shipped_at=now(),
        shipped_by=manifest.by,
    )
    releases.save(record)
    unit = f"seal@{release}.service"
    try:
        host.systemd.start(unit, timeout=SEAL_SECONDS)
    except SystemdError as error:
        releases.forget(release)
        raise SlipwayError(releases.seal_error(release) or f"{unit} failed: {error}") from None
    file.unlink()  # what arrived is removed later, by prune: a deploy waits for this
    return record


def _remove_stale(releases: Releases, release: str, seconds: float) -> None:
    """Remove an earlier shipment of this release, and abandoned ones.

    Never rsync into an old partial: what it lacks would be taken from the release that is live now.
    """
    for file in releases.folder.glob(".*.manifest.json"):
        name = file.name.removeprefix(".").removesuffix(".manifest.json")
        partial = releases.partial(name)
        old = time.time() - file.stat().st_mtime > seconds
        if name == release or (old and not _is_received(partial)):
            remove_tree(partial)
            if not releases.path(name).is_dir():
                releases.forget(name)  # the host went down while it was sealed
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
    # The first release is there twice while it is sealed; of the next ones little is.
    times = 1 if host.releases.current() else 2
    need_bytes, need_inodes = times * manifest.bytes + RESERVE_BYTES, times * manifest.inodes + RESERVE_INODES

    def short(free: dict[str, int]) -> bool:
        return free["free_bytes"] < need_bytes or free["free_inodes"] < need_inodes

    if short(disk(host.releases)):
        _remove_stale(host.releases, "", GRACE_SECONDS)
    if short(disk(host.releases)):
        # Shipped and never activated, or too many since `keep` was lowered: no activation pruned them.
        with (
            suppress(LockedError),
            lock.held(host.lock_file, Holder(Purpose.PRUNE, by=manifest.by, since=now())),
        ):
            prune(host)
    if short(free := disk(host.releases)):
        raise SlipwayError(
            f"not enough room on {host.releases.root}: the release needs {need_bytes >> 20} MiB and {need_inodes} "
            f"inodes (with a reserve), {free['free_bytes'] >> 20} MiB and {free['free_inodes']} inodes are free. "
            "Lower release_keep, or make the disk larger."
        )
