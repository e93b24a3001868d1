"""What of a folder is sent to Docker: the code and what it reads, not what else is beside it."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MAX_BYTES = 50 * 1024 * 1024
"""A larger folder beside the app is data, and no part of its image."""
SENT = re.compile(r"Procfile|(README|LICEN[CS]E).*|.+\.(cfg|conf|csv|ini|json|lock|toml|txt|ya?ml)")
"""Files beside the code that an app or the manager of its dependencies may read; *.py are sent as well."""
MAX_FILE_BYTES = 1024 * 1024
TOOLS = re.compile(
    r"(docker-)?compose.*|package(-lock)?\.json|tsconfig.*|mkdocs.*|mypy\.ini|pytest\.ini|ruff\.toml|tox\.ini|renovate\.json"
    r"|.*(secret|credential|token|service-account|private).*",
    re.IGNORECASE,
)
"""Files of development, and such as may be secret."""
ASIDE = frozenset({
    "ansible", "build", "deploy", "dist", "doc", "docs", "e2e", "examples", "helm", "htmlcov", "infra", "k8s",
    "kubernetes", "node_modules", "notebooks", "site-packages", "terraform", "test", "tests", "venv", "__pycache__",
})  # fmt: skip
"""Folders that no app reads when it runs."""


@dataclass(frozen=True)
class Context:
    """The entries of a folder that its image is made of, and those left out for their size."""

    sent: tuple[str, ...]
    """Besides *.py."""
    large: tuple[tuple[str, int], ...]
    """Name and bytes, at least."""


def find_context(folder: Path, needed: list[PurePosixPath], read: tuple[str, ...]) -> Context:
    """Choose the entries of a folder to send.

    Args:
        folder: what the image is built from.
        needed: files in it that the app is made of: the folders with them are sent whatever their size.
        read: files for the dependencies, relative to it.
    """
    kept = {path.parts[0] for path in needed if path.parts} | {PurePosixPath(name).parts[0] for name in read}
    sent, large = set(kept), []
    entries = sorted(entry for entry in folder.iterdir() if entry.name not in kept)
    unshared = ignored(folder, [entry.name for entry in entries]) or set()
    for entry in entries:
        name = entry.name
        if name.startswith(".") or name in ASIDE or name in unshared or name.endswith(".egg-info"):
            continue
        # A folder that this user may not read is data of another program, as of a database in a container.
        if entry.is_symlink() or (entry.is_dir() and not os.access(entry, os.R_OK | os.X_OK)):
            continue
        if entry.is_dir() and (entry / "pyvenv.cfg").exists():
            continue
        if entry.is_file():
            if SENT.fullmatch(name) and not TOOLS.fullmatch(name) and entry.stat().st_size <= MAX_FILE_BYTES:
                sent.add(name)
        elif not ((entry / "package.json").exists() and not any(entry.glob("*.py"))):
            size = _size(entry)
            if size > MAX_BYTES:
                large.append((name, size))
            elif size:
                sent.add(name)
    return Context(tuple(sorted(name for name in sent if not name.endswith(".py"))), tuple(large))


def _size(folder: Path) -> int:
    """Return the bytes in a folder; counting ends soon after MAX_BYTES."""
    total = 0
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in {"node_modules", "__pycache__"}]
        for name in files:
            path = Path(where, name)
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
        if total > MAX_BYTES:
            break
    return total


def ignored(folder: Path, names: list[str]) -> set[str] | None:
    """Return the entries that git ignores: CI does not have them, either. None where there is no git."""
    try:
        done = subprocess.run(
            ["git", "-C", folder, "check-ignore", "-z", "--stdin"],
            input="\0".join(names),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return set(done.stdout.split("\0")) if done.returncode in {0, 1} else None
