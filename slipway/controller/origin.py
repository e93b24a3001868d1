"""Where this Slipway comes from: the repository and commit that it was installed from."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from urllib.parse import urlsplit

from slipway import __version__
from slipway.controller import resources
from slipway.controller.program import output

DISTRIBUTION = "slipway-deploy"
TIMEOUT_SECONDS = 10
Number = tuple[int, int, int]


@dataclass(frozen=True)
class Origin:
    """A commit of Slipway's repository."""

    url: str
    commit: str
    label: str
    """What a person calls the commit: a tag or a branch. Empty if nothing."""

    @property
    def repository(self) -> str:
        """`acme/slipway`."""
        return repository(self.url)


def installed() -> Origin | None:
    """Return the origin of a checkout, else what the installer has recorded; None for a plain wheel."""
    if resources.is_checkout():
        root = str(resources.ROOT)
        commit = output("git", "-C", root, "rev-parse", "HEAD")
        label = output("git", "-C", root, "describe", "--tags", "--exact-match")
        return Origin(output("git", "-C", root, "config", "remote.origin.url"), commit, label) if commit else None
    return recorded()


def recorded() -> Origin | None:
    """Return the origin that the installer (uv, pip, pipx) has recorded; None if it was no commit of a repository."""
    try:
        return parse(distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return None


def parse(text: str) -> Origin | None:
    """Read a direct_url.json (PEP 610); None if it names no commit."""
    record = json.loads(text)
    of_repository = record.get("vcs_info", {})
    commit, requested = of_repository.get("commit_id", ""), of_repository.get("requested_revision") or ""
    return Origin(record["url"], commit, "" if commit.startswith(requested) else requested) if commit else None


def of_version(repository: str) -> Origin | None:
    """Return the commit of a repository on GitHub that is tagged as this version; None without network."""
    url, tag = f"https://github.com/{repository}", f"v{__version__}"
    commit = tags(url).get(tag)
    return Origin(url, commit, tag) if commit else None


def tags(url: str) -> dict[str, str]:
    """Return the commit of each tag that is a version; none without network."""
    try:
        done = subprocess.run(
            ["git", "ls-remote", "--tags", url],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_SECONDS,
            env=os.environ | {"GIT_TERMINAL_PROMPT": "0"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    found: dict[str, str] = {}
    # The commit of an annotated tag comes after the tag itself, as `refs/tags/v1.0.0^{}`.
    for line in done.stdout.splitlines():
        commit, _, name = line.partition("\trefs/tags/")
        if number(tag := name.removesuffix("^{}")):
            found[tag] = commit
    return found


def number(label: str) -> Number | None:
    """Return the number in the name of a version (`v1.2.3`); None if it is none."""
    match = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)", label)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def repository(url: str) -> str:
    """Return the owner and the name in a repository's URL, `acme/slipway`."""
    path = urlsplit(url).path if "://" in url else url.partition(":")[2] or url
    return "/".join(path.strip("/").removesuffix(".git").split("/")[-2:])


def install_command(url: str, label: str) -> str:
    """Return what installs a version of Slipway."""
    return f"uv tool install --force --with-executables-from ansible-core git+{url}@{label}"
