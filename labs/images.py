"""Images that labs deploy: the example app as it is, with a line changed, and with a fault."""

import json
import shutil
import time
from typing import Any

from labs.command import ROOT, run

TREE = ROOT / ".cache/labs/tree"
"""A copy of the working tree, in which a line is changed."""
LEFT_OUT = ("ansible/molecule/", "ansible/roles/", "tests/", "docs/", "labs/")
"""Of the copy: the image does not need them. The inventories make it a project (`Project.find`)."""


def build_app(tag: str) -> str:
    """Build the app of the working tree. Returns the image's id."""
    return run(str(ROOT / "tools/image"), "build", "--tag", tag).split()[-1]


def build_changed_app(tag: str) -> str:
    """Build the app with one more line, by its own Dockerfile. Returns the image's id."""
    shutil.rmtree(TREE, ignore_errors=True)
    for name in run("git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        source, copy = ROOT / name, TREE / name
        if source.is_file() and not name.startswith(LEFT_OUT):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
    main = TREE / "app/main.py"
    main.write_text(main.read_text() + f"\nBUILT_AT = {time.time_ns()}\n")
    return run(str(TREE / "tools/image"), "build", "--tag", tag, cwd=TREE).split()[-1]


def extend_app(tag: str, app: str, folder: str) -> str:
    """Build labs/FOLDER/Dockerfile on top of the image `app`. Returns the tag."""
    run("docker", "build", "--quiet", f"--build-arg=APP={app}", f"--tag={tag}", str(ROOT / "labs" / folder))
    return tag


def inspect(image: str) -> dict[str, Any]:
    """Return Docker's description of an image.

    Raises:
        LabError: there is no such image.
    """
    found: list[dict[str, Any]] = json.loads(run("docker", "image", "inspect", image))
    return found[0]
