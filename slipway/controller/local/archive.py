"""A base image from Debian's or Ubuntu's own archive, by mmdebstrap: for machines that no registry answers."""

import hashlib
import os
import shutil
import tempfile
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from slipway.controller.local import HostError
from slipway.controller.local.docker import docker
from slipway.controller.program import as_root, logged
from slipway.controller.project import shared_cache

SUITES = {"24.04": "noble", "26.04": "resolute"}
"""Ubuntu's name of a release in its archive."""

_DEBIAN = "http://deb.debian.org/debian"
_UBUNTU = "http://archive.ubuntu.com/ubuntu"
# Debian 12 has no package of Ubuntu's keys. The hash stands for this one, which http does not.
_KEYRING = f"{_UBUNTU}/pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1_all.deb"
_KEYRING_SHA256 = "36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8"
# Dates in the archive's order, not the clock's: newer files get this time.
_EPOCH = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
# The folders that Debian's own slim image leaves out.
_LEFT_OUT = ("doc", "man", "info", "locale", "lintian", "groff")


def build(image: str, suite: str) -> None:
    """Import a minimal system of a suite as trixie or noble: the same bytes for the same archive.

    Raises:
        HostError: a program for it is not installed, or the archive does not answer.
        ProgramError: the build fails.
    """
    for program in ("mmdebstrap", "unshare"):
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            raise HostError(
                f"{image} cannot be pulled, and {program}, which builds it, is not installed. Let a registry be "
                "reached, or type: apt-get install mmdebstrap util-linux"
            )
    hook = 'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/etc/hostname "$1"/etc/resolv.conf'
    with tempfile.TemporaryDirectory(dir=shared_cache()) as folder, tempfile.TemporaryDirectory() as keys:
        Path(keys).chmod(0o755)  # apt reads them as its own user
        archive = str(Path(folder) / "base.tar")
        logged(
            as_root(
                [
                    "env",
                    f"SOURCE_DATE_EPOCH={_EPOCH}",
                    f"TMPDIR={tempfile.gettempdir()}",
                    # Its own mount namespace: mmdebstrap's mounts never reach the machine's, whatever happens.
                    *("unshare", "--mount", "mmdebstrap", "--mode=root", "--variant=minbase", "--format=tar"),
                    *(f"--dpkgopt=path-exclude=/usr/share/{path}/*" for path in _LEFT_OUT),
                    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
                    f"--customize-hook={hook}",
                    # Ubuntu counts apt among what need not be there.
                    *(["--include=apt", f"--keyring={_ubuntu_keys(Path(keys))}"] if suite in SUITES.values() else []),
                    *(suite, archive),
                    *sources(suite),
                ]
            ),
            shared_cache() / "mmdebstrap.log",
        )
        docker("import", "--change", 'CMD ["bash"]', archive, image)


def sources(suite: str) -> list[str]:
    """Return the lines for apt of a suite, its updates and its security updates."""
    if suite in SUITES.values():
        return [f"deb {_UBUNTU} {suite}{pocket} main universe" for pocket in ("", "-updates", "-security")]
    return [
        f"deb {_DEBIAN} {suite} main",
        f"deb {_DEBIAN} {suite}-updates main",
        f"deb {_DEBIAN}-security {suite}-security main",
    ]


def _ubuntu_keys(folder: Path) -> Path:
    """Put the keys of Ubuntu's archive into a folder. Returns their file."""
    package = folder / "keyring.deb"
    try:
        with urllib.request.urlopen(_KEYRING, timeout=60) as response:  # noqa: S310 -- a constant
            package.write_bytes(response.read())
    except OSError as error:
        raise HostError(f"{_KEYRING}, with the keys of Ubuntu's archive, cannot be read: {error}") from None
    if hashlib.sha256(package.read_bytes()).hexdigest() != _KEYRING_SHA256:
        raise HostError(f"{_KEYRING} is not the package with the keys of Ubuntu's archive: its SHA-256 is another")
    logged(["dpkg-deb", "--extract", str(package), str(folder)], shared_cache() / "keyring.log")
    return folder / "usr/share/keyrings/ubuntu-archive-keyring.gpg"
