"""Repositories, and GitHub for them: act runs a repository's workflow files, and those that they call, on this machine."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests import killing
from tools.checkout import CHECKOUT

ROOT = Path(__file__).resolve().parents[2]
ACTIONS = Path(__file__).parent / "actions"
SLIPWAY = "acme/slipway"
"""Its repository on GitHub."""
PROJECT = f"{CHECKOUT}a"
"""Part of the names of the adopter's images."""
RUN_SECONDS = 900
"""A run that takes longer hangs."""


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a program to its end, and return what it printed.

    Raises:
        AssertionError: the command failed; the text is its output.
    """
    done = subprocess.run(
        [str(each) for each in command], cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0, f"{command[0]} failed: {done.stdout}{done.stderr}"
    return done.stdout.strip()


class Repository:
    """Somebody's git repository, and a person who commits to its main."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Alice")
        self.git("config", "user.email", "alice@example.com")
        self.git("remote", "add", "origin", f"https://github.com/{name}.git")

    @classmethod
    def of_slipway(cls, folder: Path, name: str) -> "Repository":
        """Return a clone of this working tree, changes that no commit has among them."""
        repository = cls(folder, name)
        repository.git("fetch", "--quiet", str(ROOT), "HEAD")
        repository.git("reset", "--quiet", "--hard", "FETCH_HEAD")
        changed = run("git", "ls-files", "--modified", "--others", "--exclude-standard", "-z").split("\0")
        for file in filter(None, changed):
            if (ROOT / file).exists():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / file, folder / file)
            else:
                (folder / file).unlink(missing_ok=True)
        repository.git("add", "--all")
        repository.git("commit", "--quiet", "--allow-empty", "--message", "The working tree")
        return repository

    def git(self, *arguments: str) -> str:
        """Run git in the repository."""
        return run("git", *arguments, cwd=self.folder)

    def write(self, name: str, text: str) -> None:
        """Make or replace a file."""
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def replace(self, name: str, old: str, new: str) -> None:
        """Edit a file at one place."""
        text = (self.folder / name).read_text()
        assert text.count(old) == 1, f"{name} has {old!r} {text.count(old)} times"
        self.write(name, text.replace(old, new))

    def commit(self, message: str) -> str:
        """Commit everything, and return the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.head

    @property
    def head(self) -> str:
        """The last commit."""
        return self.git("rev-parse", "HEAD")


@dataclass
class Job:
    """When a job of a run began and ended, in seconds after the push (act tells whole ones), and how long its steps took."""

    began: float
    ended: float = 0.0
    steps: dict[str, float] = field(default_factory=dict)


@dataclass
class Run:
    """A workflow run: what it printed, and how it ended."""

    process: subprocess.Popen[bytes]
    folder: Path
    began: float = field(default_factory=time.monotonic)
    began_at: float = field(default_factory=time.time)
    seconds: float = 0.0

    @property
    def log(self) -> Path:
        """What act printed."""
        return self.folder / "log"

    @property
    def entries(self) -> Iterator[dict[str, Any]]:
        """What act tells, one entry for each line and each command of a step."""
        for line in self.log.read_text(errors="replace").splitlines():
            with suppress(ValueError):
                yield json.loads(line)

    @property
    def output(self) -> str:
        """What the steps printed so far, for a person: with the job in front."""
        return "\n".join(f"[{entry.get('job', '')}] {str(entry.get('msg', '')).rstrip()}" for entry in self.entries)

    @property
    def summary(self) -> str:
        """The run's page."""
        return "".join(entry["content"] for entry in self.entries if entry.get("command") == "summary")

    def wait(self) -> bool:
        """Wait for its end. Returns whether it is green."""
        try:
            green = self.process.wait(RUN_SECONDS) == 0
        finally:
            self.kill()
            # On GitHub each job has a new machine.
            shutil.rmtree(self.folder / "cache", ignore_errors=True)
        self.seconds = time.monotonic() - self.began
        return green

    def kill(self) -> None:
        """End it and everything it has started, as when the runner's machine dies."""
        if self.process.poll() is None:
            killing.kill(self.process)

    def jobs(self) -> dict[str, Job]:
        """The jobs that were run, by name, in the order in which they began."""
        jobs: dict[str, Job] = {}
        for entry in self.entries:
            if "jobID" not in entry or "step" not in entry:
                continue
            at = datetime.fromisoformat(entry["time"]).timestamp() - self.began_at
            job = jobs.setdefault(entry["jobID"], Job(at))
            job.ended = at
            if "executionTime" in entry and entry.get("stage") == "Main" and entry.get("stepResult") != "skipped":
                job.steps[" ".join(str(entry["step"]).split())] = entry["executionTime"] / 1e9
        return jobs


@dataclass
class GitHub:
    """What the settings of a repository hold, and its runs."""

    repository: Repository
    slipway: Repository
    """Whose workflows its own call, at the last commit."""
    folder: Path
    secrets: Mapping[str, str]
    variables: Mapping[str, str]
    actor: str = "alice"
    runs: int = 0

    def push(self, message: str) -> Run:
        """Commit what has changed and push it to main."""
        commit = self.repository.commit(message)
        event = {"ref": "refs/heads/main", "after": commit, "repository": {"private": False}}
        return self.start("push", "deploy.yml", event)

    def dispatch(self, workflow: str, **inputs: str) -> Run:
        """Press "Run workflow"."""
        event = {"ref": "refs/heads/main", "inputs": inputs, "repository": {"private": False}}
        return self.start("workflow_dispatch", workflow, event)

    def start(self, event: str, workflow: str, payload: Mapping[str, object]) -> Run:
        """Begin a run."""
        self.runs += 1
        folder = self.folder / f"run{self.runs}"
        folder.mkdir(parents=True)
        (folder / "event.json").write_text(json.dumps(payload))
        workflows = self.slipway.folder / ".github/workflows"
        actions = set(
            re.findall(r"uses: (actions/([\w-]+)@\w+)", "".join(f.read_text() for f in workflows.glob("*.yml")))
        )
        local = {name: ACTIONS / action for name, action in actions}
        local[f"{SLIPWAY}@{self.slipway.head}"] = self.slipway.folder
        # Ended one by one, and not by act's own environment: a step has what the workflow gives it, and nothing else.
        environment = {name: os.environ[name] for name in ("HOME", "PATH", "USER", "LANG") if name in os.environ}
        command = [
            str(ROOT / ".cache/bin/act"),
            event,
            f"--workflows=.github/workflows/{workflow}",
            "--platform=ubuntu-24.04=-self-hosted",
            f"--eventpath={folder / 'event.json'}",
            f"--actor={self.actor}",
            "--no-skip-checkout",
            f"--env=ARTIFACTS={folder / 'artifacts'}",
            f"--env=REPOSITORY={self.repository.folder}",
            f"--env=SLIPWAY={self.slipway.folder}",
            f"--env=SLIPWAY_COMMIT={self.slipway.head}",
            f"--env=MACHINE={ROOT}",
            # Not the names of this checkout's own images.
            f"--env=SLIPWAY_CHECKOUT={PROJECT}",
            f"--env=XDG_CACHE_HOME={folder / 'cache'}",
            f"--env=UV_CACHE_DIR={uv_cache()}",
            "--env=UV_SYSTEM_CERTS=true",
            "--env=UV_PYTHON_DOWNLOADS=never",
            f"--env=GITHUB_RUN_ID={self.runs}",
            # What the linter's run has left: a minute of each run.
            f"--env=MYPY_CACHE_DIR={ROOT / '.mypy_cache/app'}",
            "--defaultbranch=main",
            "--json",
            "--container-daemon-socket=-",
            f"--action-cache-path={self.folder / 'actions'}",
            *(f"--local-repository={name}={place}" for name, place in local.items()),
            *(f"--secret={name}={value}" for name, value in self.secrets.items()),
            *(f"--var={name}={value}" for name, value in self.variables.items()),
        ]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=self.repository.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return Run(process, folder)


def uv_cache() -> Path:
    """Return this user's own: what has been downloaded once need not be again."""
    return Path(run("uv", "cache", "dir"))
