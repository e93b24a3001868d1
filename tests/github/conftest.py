"""Programs that cannot run here, in their place on the PATH: they answer as configured and log their calls."""

import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """#!/usr/bin/env -S python3 -IS
import json, os, pathlib, re, sys
if {real!r} and sys.argv[1:2] == [{real!r}]:
    os.execv("/usr/bin/{name}", [{name!r}, *sys.argv[1:]])
stdin = sys.stdin.read() if {reads} else ""
with open({log!r}, "a") as log:
    log.write(json.dumps([*sys.argv[1:], *([stdin] if stdin else [])]) + "\\n")
for pattern, (status, output) in json.loads(pathlib.Path({answers!r}).read_text()).items():
    if re.search(pattern, " ".join(sys.argv[1:])):
        print(output, file=sys.stderr if status else sys.stdout)
        sys.exit(status)
"""


class Fake:
    """A program of a name. `answers`: patterns of its arguments, each with the exit status and the output.

    `real`: the first argument with which the real program runs.
    """

    def __init__(self, folder: Path, name: str, *, reads: bool = False, real: str = "") -> None:
        self.log, self._answers = folder / f"{name}.log", folder / f"{name}.json"
        program = folder / name
        program.write_text(
            PROGRAM.format(name=name, real=real, log=str(self.log), answers=str(self._answers), reads=reads)
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.answers({})

    def answers(self, answers: dict[str, tuple[int, str]]) -> None:
        self._answers.write_text(json.dumps(answers))

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of each call, with its standard input at the end, if any."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The folder that comes first on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


@pytest.fixture
def run(programs: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script of tools/ with these programs and an environment of its own."""

    def call(script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ} | variables
        environment["PATH"] = f"{programs}:{environment['PATH']}"
        return subprocess.run(
            [ROOT / "tools" / script, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )

    return call
