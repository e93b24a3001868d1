"""Variants of any image: with a changed file, not starting, crashing."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from labs.command import run
from labs.images import inspect
from tools.checkout import TRIAL

CRASH = '(sleep "$0"; kill -9 $$) & exec "$@"'
"""For `sh -c`: execs the app's own command, and kills it after a while."""
START_FAILURE = "echo 'error: the variable PAYMENT_URL is not set' >&2; exit 1"


@dataclass(frozen=True)
class Variants:
    """The tags of the images."""

    app: str
    first_change: str
    second_change: str
    start_failure: str
    crashing: str

    @property
    def all(self) -> tuple[str, ...]:
        """Every tag."""
        return self.app, self.first_change, self.second_change, self.start_failure, self.crashing


def build(image: str) -> Variants:
    """Build all but the crashing variant, which depends on how fast the app starts."""
    suffixes = ("app", "first-change", "second-change", "start-failure", "crashing")
    names = Variants(*(f"{TRIAL}:{suffix}" for suffix in suffixes))
    run("docker", "tag", image, names.app)
    for name in (names.first_change, names.second_change):
        _build(name, [f"FROM {names.app}", "COPY change ./slipway-try-change"], change=name)
    command = json.dumps(["/bin/sh", "-c", START_FAILURE])
    _build(names.start_failure, [f"FROM {names.app}", "ENTRYPOINT []", f"CMD {command}"])
    return names


def build_crashing(variants: Variants, seconds: int) -> None:
    """Build the variant that is killed so many seconds after its start."""
    config = inspect(variants.app)["Config"]
    command = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
    wrapped = ["/bin/sh", "-c", CRASH, str(seconds), *command]
    _build(variants.crashing, [f"FROM {variants.app}", "ENTRYPOINT []", f"CMD {json.dumps(wrapped)}"])


def remove(variants: Variants) -> None:
    """Remove the tags; the image itself stays."""
    run("docker", "image", "rm", "--force", *variants.all)


def _build(name: str, lines: list[str], **files: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Dockerfile").write_text("\n".join(lines) + "\n")
        for file, text in files.items():
            (Path(folder) / file).write_text(f"{text}\n")
            (Path(folder) / file).chmod(0o644)
        run("docker", "build", "--quiet", "--tag", name, folder)
