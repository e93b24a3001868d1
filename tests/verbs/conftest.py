"""A copy of the working tree in which the verbs run: a checkout of its own, so the local host of this one is left alone."""

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tools.checkout import ROOT

TREE = ROOT / ".cache/verbs"
"""Always the same, so that its environments are made once."""
KEPT = {".venv", ".venv-app", ".cache"}
DOCKER = "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else "docker"
INHERITED = {"SLIPWAY_CHECKOUT", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS", "HTTP_PORT", "VIRTUAL_ENV"}
"""Of this checkout, and of the `make` that runs this test."""


@dataclass
class Checkout:
    """The copy."""

    root: Path
    environment: dict[str, str]

    def make(self, verb: str, *arguments: str, **variables: str) -> str:
        """Run a verb of the Makefile. Returns what it printed; its failure is the test's."""
        done = self.run("make", verb, *arguments, **variables)
        assert done.returncode == 0, f"make {verb} {' '.join(arguments)}\n{done.stdout[-6000:]}"
        return done.stdout

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program there."""
        return subprocess.run(
            command,
            cwd=self.root,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    @property
    def url(self) -> str:
        """Where the local host serves."""
        return self.run("tools/host", "url", "local").stdout.strip()

    @property
    def name(self) -> str:
        """What the checkout's images and containers have in their names."""
        return self.run("tools/run", "printenv", "SLIPWAY_CHECKOUT").stdout.strip()

    def containers(self) -> str:
        """The names of its containers."""
        return docker("ps", "--all", "--filter", f"name=-{self.name}-", "--format={{.Names}}")


def ask(url: str) -> Any:
    """Return the JSON that a service answers with status 200; a proxy of the environment is not for 127.0.0.1."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=20) as answer:
        return json.loads(answer.read())


def docker(*arguments: str) -> str:
    return subprocess.run([DOCKER, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def copy_tree() -> None:
    """Copy what git sees, as it is now, and commit it."""
    TREE.mkdir(parents=True, exist_ok=True)
    for path in TREE.iterdir():
        if path.name not in KEPT:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    listed = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(listed, text=True).splitlines():
        source, copy = ROOT / name, TREE / name
        if source.is_file() or source.is_symlink():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "A copy"]):
        subprocess.run(["git", *identity, *command], cwd=TREE, check=True, stdin=subprocess.DEVNULL)
    subprocess.run(["git", "remote", "add", "origin", "git@github.com:acme/shop.git"], cwd=TREE, check=True)


@pytest.fixture(scope="session")
def checkout() -> Iterator[Checkout]:
    """The copy, with nothing left of an earlier run; its host and its images are removed at the end."""
    copy_tree()
    environment = {name: value for name, value in os.environ.items() if name not in INHERITED}
    copy = Checkout(TREE, environment)
    copy.run("tools/host", "down", "local", "try")
    try:
        yield copy
    finally:
        copy.run("tools/host", "down", "local", "try")
        images = docker("images", f"slipway-*-{copy.name}", "--format={{.Repository}}:{{.Tag}}").split()
        if images:
            docker("image", "rm", *images)
