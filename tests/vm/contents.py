"""What is in the files of a VM, to find those that a power cut emptied or changed."""

import json
import shlex

from tests.vm.machine import Machine

DIGESTS = """
import json, os
from hashlib import md5

digests, found = {}, {}
for root in ("/srv/app/sealed", "/etc/slipway", "/etc/systemd", "/etc/nginx", "/usr/local/lib/slipway"):
    for folder, folders, names in os.walk(root):
        # Unfinished, so removed by the next one.
        folders[:] = [name for name in folders if not name.endswith((".new", "__pycache__"))]
        for path in (os.path.join(folder, name) for name in names):
            facts = os.lstat(path)
            if not os.path.isfile(path) or os.path.islink(path):
                continue
            # Releases share files.
            if facts.st_ino not in digests:
                with open(path, "rb") as file:
                    digests[facts.st_ino] = md5(file.read(), usedforsecurity=False).hexdigest()
            found[path] = digests[facts.st_ino]
print(json.dumps(found))
"""
SEALED = "/srv/app/sealed/"
OWN = (".slipway/", "srv/shop/")
"""Where a release differs from another one of the same image but for the app."""


def digests(machine: Machine) -> dict[str, str]:
    """Return a digest of each file that a deploy or a provision promised to keep."""
    found: dict[str, str] = json.loads(machine.shell(f"python3 -c {shlex.quote(DIGESTS)}"))
    return found


def damaged(before: dict[str, str], after: dict[str, str], releases: set[str]) -> list[str]:
    """Return the files that lost their content, or that are missing though their release is still there."""
    kept = {path: digest for path, digest in before.items() if _release(path) in {None, *releases}}
    lost = [path for path, digest in kept.items() if after.get(path) != digest]
    known = {_within(path): digest for path, digest in before.items() if _release(path)}
    arrived = {path: digest for path, digest in after.items() if path not in before and _release(path)}
    other = [
        path
        for path, digest in arrived.items()
        if not _within(path).startswith(OWN) and known.get(_within(path)) != digest
    ]
    return sorted([*lost, *other])


def _release(path: str) -> str | None:
    return path.removeprefix(SEALED).partition("/")[0] if path.startswith(SEALED) else None


def _within(path: str) -> str:
    return path.removeprefix(SEALED).partition("/")[2]
