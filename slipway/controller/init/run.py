"""Look at a repository, write what is missing in it, and tell what was found and done."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from slipway.controller.init import dependabot, text
from slipway.controller.init import findings as found
from slipway.controller.init.advice import advise
from slipway.controller.init.findings import Findings, InitError
from slipway.controller.init.questions import Ask
from slipway.controller.init.render import WORKFLOWS, Planned, plan, workflow
from slipway.controller.init.requirements import SETUP
from slipway.controller.init.source import Source


class State(StrEnum):
    """What became of a file."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    """It is there, as it would be written."""
    KEPT = "kept"
    """A Dockerfile, .dockerignore or Procfile that somebody wrote or changed."""
    DIFFERS = "differs"
    """It is there with another content, and left alone: it has been changed, or is another program's."""


@dataclass(frozen=True)
class File:
    """A file and what became of it."""

    path: str
    """Relative to the folder."""
    state: State


@dataclass(frozen=True)
class Result:
    """A run of `slipway init`."""

    folder: Path
    found: tuple[tuple[str, str], ...]
    """What a person checks: a subject and what was found or chosen for it."""
    files: tuple[File, ...]
    warnings: tuple[str, ...]
    """What will not work as it is, with what to type."""
    next_steps: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether a file was written."""
        return any(file.state is State.WRITTEN for file in self.files)

    def lines(self) -> Iterator[str]:
        """Yield the result as a person reads it."""
        width = max(len(subject) for subject, _ in self.found)
        yield from (f"{subject:<{width}}  {text}" for subject, text in self.found)
        yield ""
        yield from (f"{file.state:<{width}}  {file.path}" for file in self.files)
        if not self.changed:
            yield "\nNothing changed: every file is there."
        yield from (f"\nwarning: {text}" for text in self.warnings)
        yield "\nNext:"
        yield from (f"  {step}" for step in self.next_steps)


def run(folder: Path, *, ask: Ask | None = None, source: Source | None = None) -> Result:
    """Write what `slipway up`, `provision` and `deploy` need into a repository; change nothing that is there.

    Args:
        folder: the repository, or the folder of one app in it.
        ask: puts a question to a person; None takes the defaults.
        source: whose workflows those of the repository call. None: what they name already, else what this tool was
            installed from; no workflows without it.

    Raises:
        InitError: there is no app, nothing that declares its dependencies, or a file cannot be written.
    """
    folder = folder.resolve()
    top, project, branch = _place(folder)
    findings = found.find(folder, ask)
    workflows = [folder / workflow(name, project) for name in WORKFLOWS]
    source = source or next(filter(None, map(Source.written, workflows)), None) or Source.installed()
    planned = list(plan(findings, source, project, branch))
    _check(folder, planned)
    files = tuple(_write(folder, file) for file in planned)
    left_alone = [file.path for file in files if file.state is State.DIFFERS]
    ignored = _git(folder, "check-ignore", *(file.path for file in files if file.state is not State.KEPT)).splitlines()
    return Result(
        folder=folder,
        found=tuple(_found(findings)),
        files=files,
        warnings=(*advise(findings, left_alone, ignored), *_ci_warnings(source, top, workflows[0])),
        next_steps=tuple(_next_steps(findings, source)),
    )


def _place(folder: Path) -> tuple[Path, str, str]:
    """Return the top of a folder's git repository, the folder as seen from there, and the branch that is deployed."""
    found = _git(folder, "rev-parse", "--show-toplevel")
    if not found:
        return folder, ".", "main"
    top = Path(found).resolve()
    branches = _git(folder, "for-each-ref", "--format=%(refname:lstrip=-1)", "refs/heads", "refs/remotes").split()
    branch = "master" if "master" in branches and "main" not in branches else "main"
    return top, str(folder.relative_to(top)), branch


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def _check(folder: Path, planned: list[Planned]) -> None:
    """Raise InitError if a file could not be written, before the first one is."""
    for path in (folder / file.path for file in planned):
        above = next(parent for parent in path.parents if os.path.lexists(parent))
        name = os.path.normpath(path.relative_to(folder) if path.is_relative_to(folder) else path)
        if not above.is_dir():
            raise InitError(f"{name} cannot be written: {above} is no folder. Rename it, then run slipway init again")
        if not os.path.lexists(path) and not os.access(above, os.W_OK):
            raise InitError(f"{name} cannot be written: {above} is not writable for you")


def _write(folder: Path, file: Planned) -> File:
    path = folder / file.path
    shown = os.path.normpath(file.path)
    if path.exists() or path.is_symlink():
        same = path.is_file() and text.read(path) == file.text
        return File(shown, State.UNCHANGED if same else State.DIFFERS if file.is_ours else State.KEPT)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Never over a file that appears meanwhile.
        with path.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(file.text)
    except OSError as error:
        raise InitError(
            f"{shown} cannot be written: {error.strerror}. What is missing is written by the next run"
        ) from None
    return File(shown, State.WRITTEN)


def _found(findings: Findings) -> Iterator[tuple[str, str]]:
    packages, services = findings.packages, findings.services
    written_by_others = findings.has_own_dockerfile
    yield "app", f"{findings.target} ({findings.app.file})"
    yield ("server", _server(findings))
    where = "" if findings.base == PurePosixPath() else f" in {findings.base}"
    manager = "setuptools" if packages.declaring in SETUP else packages.manager
    yield ("packages", f"{manager}, {packages.lock or f'{packages.files[0]} without a lock'}{where}")
    if not written_by_others:
        yield "Python", findings.python
    yield "migrations", findings.migrations or "none"
    yield "tests", findings.tests or "none"
    if findings.processes:
        yield "processes", ", ".join(process.name for process in findings.processes)
    installed = [*(["PostgreSQL"] if services.postgres else []), *(["a broker"] if services.broker else [])]
    yield ("data", " and ".join([*installed, *services.external]) or "no database server: SQLite, or none")
    if services.clients:
        yield "calls", ", ".join(services.clients)
    yield "ready path", findings.ready_path
    if findings.dockerfile:
        yield ("Dockerfile", f"{findings.dockerfile.path}, built in {findings.dockerfile.context}")


def _server(findings: Findings) -> str:
    if not findings.has_own_dockerfile:
        return findings.server or "none"
    return "app_command, instead of the Dockerfile's" if findings.start.command else "as the Dockerfile starts it"


def _ci_warnings(source: Source | None, top: Path, deploy: Path) -> Iterator[str]:
    if source is None:
        yield (
            "no workflows: which commit of Slipway they call is not known, since this tool was not installed from "
            "GitHub. Name it: slipway init --source OWNER/REPOSITORY@COMMIT"
        )
        return
    if not re.search(r"^ +test: ", deploy.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
        file = deploy.resolve().relative_to(top)
        yield f"CI runs no tests: write the command that runs them behind `test:` in {file}"
    if advice := dependabot.missing(top, source.repository):
        yield f"nothing moves the workflows to the next version of Slipway. For Dependabot {advice}"


def _next_steps(findings: Findings, source: Source | None) -> Iterator[str]:
    yield "slipway up                        the app on a stand-in for your host, on this machine"
    if findings.site.is_example:
        yield "deploy/production/                put in your host's address, the site's name and your public key"
    yield "slipway provision production      an empty host to serving"
    if source:
        yield "slipway github production         from then on a push deploys"
