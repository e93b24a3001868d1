"""Pairs of keys, made here and kept nowhere here."""

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipway.controller.github import SetupError


@dataclass(frozen=True)
class Pair:
    """A private key, its public one, and the password that the private one is encrypted with, if it is."""

    private: str
    public: str
    password: str = ""


def ssh_pair(comment: str) -> Pair:
    """For sshd; the public key as one line."""
    with _folder() as folder:
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(folder / "key")]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return Pair((folder / "key").read_text(), (folder / "key.pub").read_text().strip())


def cosign_pair(go_tool: Path) -> Pair:
    """For signing images, encrypted. `go_tool`: what builds cosign where there is none; it need not exist.

    Raises:
        SetupError: there is no cosign, and it cannot be built.
    """
    built = subprocess.run([go_tool, "cosign"], check=False).returncode if go_tool.exists() else None
    password = secrets.token_urlsafe(32)
    with _folder() as folder:
        try:
            made = subprocess.run(
                ["cosign", "generate-key-pair"],
                cwd=folder,
                env=os.environ | {"COSIGN_PASSWORD": password},
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except FileNotFoundError:
            raise SetupError(
                "no key to sign images with: cosign is not installed. Install it "
                "(https://docs.sigstore.dev/cosign/system_config/installation/), and try again"
                if built is None
                else f"no key to sign images with: cosign could not be built (status {built}; its log is above). "
                "Install cosign, or let the Go module proxy be reached, and try again"
            ) from None
        if made.returncode:
            raise SetupError(f"no key to sign images with: cosign generate-key-pair says: {made.stderr.strip()}")
        return Pair((folder / "cosign.key").read_text(), (folder / "cosign.pub").read_text(), password)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for a moment: in memory where there is one, and nobody else's."""
    memory = Path("/dev/shm")  # noqa: S108 -- mkdtemp makes it, with mode 0700
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)
