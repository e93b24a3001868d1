"""The CAs that this machine trusts beyond its distribution's, as a proxy's: builds and local hosts trust them, too."""

import os
from pathlib import Path

from slipway.controller.project import shared_cache

_FOLDER = Path("/usr/local/share/ca-certificates")


def extra() -> list[Path]:
    """Return a file for each of these CAs."""
    return sorted(_FOLDER.glob("*.crt"))


def build_options() -> list[str]:
    """Return the options by which `docker build` gets these CAs, in one file: the secret `ca`."""
    if not (files := extra()):
        return []
    bundle = shared_cache() / "extra-ca.pem"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    partial = bundle.with_suffix(f".{os.getpid()}")
    partial.write_text("".join(f"{file.read_text().rstrip()}\n" for file in files))
    return [f"--secret=id=ca,src={partial.rename(bundle)}"]
