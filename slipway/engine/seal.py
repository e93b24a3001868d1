"""Sealing: the user `sealer` makes its own copy of what `deploy` shipped, and the app runs from that.

All of this runs as `sealer`, in units that `deploy` may start and no more. It reads what an attacker may change at the
same time: it may read no more than everybody, and writes only what it created itself. A file that is kept open, a hard
link or a folder that is swapped changes at most what is copied, never the copy.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.engine import tree
from slipway.engine.copier import Copier
from slipway.engine.durable import sync_file_systems, sync_folder, write_atomically
from slipway.engine.files import read_regular
from slipway.engine.releases import SLICES, Releases, remove_tree
from slipway.engine.shipment import Shipment
from slipway.model.errors import SlipwayError
from slipway.model.names import check_release


def seal(releases: Releases, release: str) -> None:
    """Seal a release whose files have arrived. Nothing to do if it is sealed.

    Raises:
        SlipwayError: it was not shipped, or it cannot run; `releases.seal_error` has the reason as well.
        OSError: the disk is full.
    """
    if releases.path(check_release(release)).is_dir():
        return
    releases.seal_error_file(release).unlink(missing_ok=True)
    try:
        shipment = Shipment.parse(read_regular(releases.shipment(release)))
        base = releases.path(shipment.base) if shipment.base else None
        with _made(releases, release) as made:
            Copier().copy(releases.partial(release), base, made)
            tree.prepare(made, release, shipment.manifest)
    except (SlipwayError, OSError) as error:
        write_atomically(releases.seal_error_file(release), str(error))
        raise


def adopt(releases: Releases) -> list[str]:
    """Make what `deploy` cannot change: the folder of sealed releases, and the slices' links.

    Releases that engines before this one received are sealed. Returns what was changed, in words.

    Raises:
        SlipwayError: somebody else has a folder there, or the live release cannot be sealed.
    """
    changed = []
    if not os.path.lexists(releases.sealed):
        releases.sealed.mkdir(mode=0o755)
        changed.append(f"created {releases.sealed}")
    facts = releases.sealed.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
        raise SlipwayError(f"{releases.sealed} is not a folder of the user `sealer`: remove it, then provision again")
    copier = Copier()
    for unsealed in releases.unsealed():
        release = unsealed.name
        if releases.path(release).is_dir():
            continue
        try:
            with _made(releases, release) as made:
                copier.copy(unsealed, None, made)
        except (SlipwayError, OSError) as error:
            if release == releases.current():
                raise SlipwayError(f"the live release {release} cannot be sealed: {error}") from None
            changed.append(f"did not seal {release}: {error}")
        else:
            changed.append(f"sealed {release}")
        # Those that were made are elsewhere now.
        prefixes = f"{releases.sealed}/.{release}.new/", f"{releases.path(release)}/"
        copier.copies = {key: path.replace(*prefixes) for key, path in copier.copies.items()}
    for name in SLICES:
        link = releases.slice_link(name)
        if not link.is_symlink() or link.lstat().st_uid != os.geteuid():
            releases.set_slice(name, releases.slice(name))
            changed.append(f"took over {link}")
    return changed


def remove(releases: Releases, release: str) -> None:
    """Remove the sealed files of a release.

    Raises:
        SlipwayError: it has traffic.
    """
    if check_release(release) in {releases.slice(name) for name in SLICES}:
        raise SlipwayError(f"{release} has traffic: its files stay")
    with _alone(releases):
        if releases.path(release).is_dir():
            # At once: systemd would make the folders of one that is half removed again.
            releases.path(release).rename(_unfinished(releases, release))
            sync_folder(releases.sealed)
        remove_tree(_unfinished(releases, release))
    releases.seal_error_file(release).unlink(missing_ok=True)


def _unfinished(releases: Releases, release: str) -> Path:
    return releases.sealed / f".{release}.new"


@contextmanager
def _alone(releases: Releases) -> Iterator[None]:
    """One seals or removes at a time; what a killed one left is removed."""
    lock = os.open(releases.sealed, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in releases.sealed.glob(".*.new"):
            remove_tree(left) if left.is_dir() else left.unlink()
        yield
    finally:
        os.close(lock)


@contextmanager
def _made(releases: Releases, release: str) -> Iterator[Path]:
    """A folder that becomes the release when it is complete."""
    made = _unfinished(releases, release)
    with _alone(releases):
        try:
            made.mkdir(mode=0o755)
            yield made
            # A power cut must not leave a release with empty files.
            sync_file_systems(made)
            made.rename(releases.path(release))
            sync_folder(releases.sealed)
        finally:
            remove_tree(made)
