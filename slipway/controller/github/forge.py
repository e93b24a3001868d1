"""Where secrets and variables go: to GitHub by `gh`, or into files that a person pastes from.

A scope is the name of an environment, or None for the repository itself.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Protocol

from slipway.controller.github import SetupError


class Forge(Protocol):
    """What both can do."""

    remembers: bool
    """Whether it knows of what an earlier run has set."""

    def has_secret(self, name: str, scope: str | None) -> bool:
        """Whether there is one. Nobody can read it."""

    def variable(self, name: str, scope: str | None) -> str | None:
        """Its value, or None."""

    def set_secret(self, name: str, value: str, scope: str | None) -> None:
        """Set or replace it."""

    def set_variable(self, name: str, value: str, scope: str | None) -> None:
        """Set or replace it."""


class Gh:
    """GitHub itself, by its own program. `repository`: OWNER/NAME."""

    remembers = True

    def __init__(self, repository: str) -> None:
        self.repository = repository
        self._lists: dict[tuple[str, str | None], list[dict[str, str]]] = {}

    def has_secret(self, name: str, scope: str | None) -> bool:
        """See Forge."""
        return any(each["name"] == name for each in self._list("secret", scope))

    def variable(self, name: str, scope: str | None) -> str | None:
        """See Forge."""
        return next((each["value"] for each in self._list("variable", scope) if each["name"] == name), None)

    def set_secret(self, name: str, value: str, scope: str | None) -> None:
        """See Forge. The value goes in by standard input, where no other process sees it."""
        self.call("secret", "set", name, *self._where(scope), given=value)
        print(f"  set the secret {_named(name, scope)}")

    def set_variable(self, name: str, value: str, scope: str | None) -> None:
        """See Forge."""
        if self.variable(name, scope) != value.strip():
            self.call("variable", "set", name, *self._where(scope), "--body", value.strip())
            print(f"  set the variable {_named(name, scope)}")

    def api(self, path: str, method: str = "GET", body: dict[str, Any] | None = None) -> Any:
        """Ask GitHub's API for a path below the repository, or for another one that begins with a slash.

        Raises:
            SetupError: it refuses, with its words.
        """
        path = path[1:] if path.startswith("/") else f"repos/{self.repository}{path and '/'}{path}"
        given = ["--input", "-"] if body is not None else []
        said = self.call("api", "--method", method, path, *given, given=json.dumps(body) if body is not None else "")
        return json.loads(said) if said.strip() else {}

    def call(self, *arguments: str, given: str = "") -> str:
        """Run gh. Raises SetupError with what it says."""
        said = subprocess.run(["gh", *arguments], input=given, capture_output=True, text=True, check=False)
        if said.returncode:
            raise SetupError(f"gh {' '.join(arguments[:3])}: {said.stderr.strip() or said.stdout.strip()}")
        return said.stdout

    def _list(self, what: str, scope: str | None) -> list[dict[str, str]]:
        """What there was when this was asked first: nothing is set twice in a run."""
        if (what, scope) not in self._lists:
            fields = "name" if what == "secret" else "name,value"
            said = self.call(what, "list", *self._where(scope), "--json", fields)
            self._lists[what, scope] = json.loads(said or "[]")
        return self._lists[what, scope]

    def _where(self, scope: str | None) -> list[str]:
        return ["--repo", self.repository, *(["--env", scope] if scope else [])]


class Paste:
    """Files that are only this user's. What is in them is pasted by hand; then they are removed by hand."""

    remembers = False

    def __init__(self, folder: Path, repository: str) -> None:
        self.folder, self.repository = folder, repository
        self.is_new = not folder.exists()
        self.files: dict[tuple[str, str, str | None], Path] = {}

    def has_secret(self, name: str, scope: str | None) -> bool:
        """See Forge."""
        return self._file("secret", name, scope).exists()

    def variable(self, name: str, scope: str | None) -> str | None:
        """See Forge."""
        file = self._file("variable", name, scope)
        return file.read_text().strip() if file.exists() else None

    def set_secret(self, name: str, value: str, scope: str | None) -> None:
        """See Forge."""
        self._write("secret", name, value, scope)

    def set_variable(self, name: str, value: str, scope: str | None) -> None:
        """See Forge."""
        self._write("variable", name, value, scope)

    def advice(self) -> str:
        """What to paste, and where."""
        settings = f"https://github.com/{self.repository}/settings"
        lines = []
        for (what, name, scope), file in sorted(self.files.items(), key=lambda each: str(each[0])):
            page = f"environments ({scope})" if scope else f"{what}s/actions"
            lines.append(f"  {what:8}  {name:30}  {settings}/{page}\n            the contents of {file}")
        return "\n".join(
            [
                *lines,
                f"Make the environment first: {settings}/environments. If your plan has none (private and free),",
                "paste it as the repository's, with the environment's name behind: SLIPWAY_SSH_KEY_PRODUCTION.",
                f"Then remove the files: rm -r {self.folder}",
            ]
        )

    def _write(self, what: str, name: str, value: str, scope: str | None) -> None:
        file = self._file(what, name, scope)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)
        file.write_text(value)
        self.files[(what, name, scope)] = file

    def _file(self, what: str, name: str, scope: str | None) -> Path:
        file = self.folder / (scope or "repository") / f"{what}s" / name
        if file.exists():
            self.files[(what, name, scope)] = file  # of an earlier run, and perhaps not pasted yet
        return file


def find_repository(root: Path) -> str:
    """OWNER/NAME on GitHub, from the remote `origin`.

    Raises:
        SetupError: there is no such remote, or it is not GitHub's.
    """
    said = subprocess.run(
        ["git", "-C", str(root), "remote", "get-url", "origin"], capture_output=True, text=True, check=False
    )
    if said.returncode:
        raise SetupError("this checkout has no remote `origin`: git remote add origin git@github.com:OWNER/NAME.git")
    remote = said.stdout.strip()
    found = re.fullmatch(
        r"(?:https://(?:[^@/]+@)?|ssh://git@|git@)github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?", remote
    )
    if not found:
        shown = re.sub(r"//[^/@]*@", "//", remote)  # there may be a password in it
        raise SetupError(
            f"the remote `origin` ({shown}) is not at github.com, where workflows run: git remote set-url origin URL"
        )
    return found[1]


def has_gh() -> bool:
    """Whether gh is installed and logged in."""
    if not shutil.which("gh"):
        return False
    return (
        subprocess.run(
            ["gh", "auth", "status", "--hostname", "github.com"], capture_output=True, check=False
        ).returncode
        == 0
    )


def _named(name: str, scope: str | None) -> str:
    return f"{name} ({scope})" if scope else name
