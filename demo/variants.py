"""Variants of an image that need nothing of the app in it: changed, one that does not start, one that crashes."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.host import run

TAG = "slipway-try"
CRASH = '(sleep "$0"; kill -9 $$) & exec "$@"'
"""For `sh -c`: becomes the app's own command, and kills that after a while."""
REFUSAL = "echo 'error: the variable PAYMENT_URL is not set' >&2; exit 1"


@dataclass(frozen=True)
class Variants:
    """The names of the images."""

    app: str
    first_change: str
    second_change: str
    stillborn: str
    crashing: str

    @property
    def all(self) -> tuple[str, ...]:
        """Every one of them."""
        return self.app, self.first_change, self.second_change, self.stillborn, self.crashing


def inspect(image: str) -> dict[str, Any]:
    """What Docker knows of an image.

    Raises:
        BenchError: there is no such image.
    """
    found: list[dict[str, Any]] = json.loads(run("docker", "image", "inspect", image))
    return found[0]


def build(image: str) -> Variants:
    """Build all but the crashing one, which waits until it is known how fast the app starts."""
    names = Variants(*(f"{TAG}:{name}" for name in ("app", "first-change", "second-change", "stillborn", "crashing")))
    run("docker", "tag", image, names.app)
    for name in (names.first_change, names.second_change):
        _build(name, [f"FROM {names.app}", "COPY change ./slipway-try-change"], change=name)
    _build(names.stillborn, [f"FROM {names.app}", "ENTRYPOINT []", f"CMD {json.dumps(['/bin/sh', '-c', REFUSAL])}"])
    return names


def build_crashing(variants: Variants, seconds: int) -> None:
    """Build the one that is killed so many seconds after it was started."""
    config = inspect(variants.app)["Config"]
    command = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
    wrapped = ["/bin/sh", "-c", CRASH, str(seconds), *command]
    _build(variants.crashing, [f"FROM {variants.app}", "ENTRYPOINT []", f"CMD {json.dumps(wrapped)}"])


def remove(variants: Variants) -> None:
    """Remove the names; the image they were made from stays."""
    run("docker", "image", "rm", "--force", *variants.all)


def _build(name: str, lines: list[str], **files: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Dockerfile").write_text("\n".join(lines) + "\n")
        for file, text in files.items():
            (Path(folder) / file).write_text(f"{text}\n")
            (Path(folder) / file).chmod(0o644)
        run("docker", "build", "--quiet", "--tag", name, folder)
