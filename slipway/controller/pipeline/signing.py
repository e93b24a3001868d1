"""Signatures of images, by cosign. A signature means that CI passed."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from slipway.controller.pipeline import PipelineError

SECRETS = ("COSIGN_PRIVATE_KEY", "COSIGN_PASSWORD", "GITHUB_TOKEN", "REGISTRY_PASSWORD")


def sign(image: str, environment: Mapping[str, str], **annotations: str) -> None:
    """Sign an image.

    Raises:
        PipelineError: there is no key, or cosign fails.
    """
    notes = [word for name, value in annotations.items() for word in ("-a", f"{name}={value}")]
    _run(["sign", "--yes", *_key("PRIVATE"), *_signing_log(), *notes, image], environment)


def attest(image: str, file: Path, environment: Mapping[str, str]) -> None:
    """Attach a list of contents to an image, signed.

    Raises:
        PipelineError: there is no key, or cosign fails.
    """
    kind = ["--type", "spdxjson", "--predicate", str(file)]
    _run(["attest", "--yes", *_key("PRIVATE"), *_signing_log(), *kind, image], environment)


def verify(image: str, environment: Mapping[str, str]) -> None:
    """Accept an image that the repository's key has signed.

    Raises:
        PipelineError: there is no key, or it has not.
    """
    command = ["verify", *_key("PUBLIC"), *_verifying_log(), image]
    try:
        _run(command, environment)
    except PipelineError as error:
        raise PipelineError(
            f"{error}\n{image} is not signed by the key of this repository: CI has not passed it. Push, and take the "
            "image from the run's page."
        ) from None


def attestation(image: str, environment: Mapping[str, str]) -> str:
    """Return the newest list of contents that the repository's key has signed, as an envelope.

    Raises:
        PipelineError: there is no key, or no such list.
    """
    command = ["verify-attestation", *_key("PUBLIC"), *_verifying_log(), "--type", "spdxjson", image]
    try:
        return _run(command, environment).strip().splitlines()[-1]  # an envelope a line
    except PipelineError as error:
        reason = str(error).splitlines()[-1]
        raise PipelineError(f"{image} has no list that the key of this repository has signed: {reason}") from None


def has_key(kind: str) -> None:
    """Look for a key, PRIVATE or PUBLIC.

    Raises:
        PipelineError: there is none.
    """
    if not os.environ.get(f"COSIGN_{kind}_KEY"):
        raise PipelineError(f"No COSIGN_{kind}_KEY. Type: slipway github production")


def _key(kind: str) -> list[str]:
    has_key(kind)
    return ["--key", f"env://COSIGN_{kind}_KEY"]


def _uses_log() -> bool:
    """Tell whether signatures are in Sigstore's public log: SLIPWAY_TRANSPARENCY_LOG is `rekor` or `none`."""
    return os.environ.get("SLIPWAY_TRANSPARENCY_LOG") != "none"


def _signing_log() -> list[str]:
    return [] if _uses_log() else ["--tlog-upload=false", "--use-signing-config=false"]


def _verifying_log() -> list[str]:
    return [] if _uses_log() else ["--insecure-ignore-tlog=true"]


def _run(arguments: list[str], environment: Mapping[str, str]) -> str:
    program = shutil.which("cosign", path=environment.get("PATH"))
    if program is None:
        raise PipelineError("cosign is not installed: https://docs.sigstore.dev/cosign/system_config/installation/")
    done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PipelineError(f"cosign {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
