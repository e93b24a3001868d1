"""Programs that a verb needs, and what to type if one is missing."""

import sys
from pathlib import Path

import pytest

from slipway.contract import data
from slipway.controller import failure, program
from slipway.controller.image.errors import ImageError


def test_what_is_missing_is_named_by_its_debian_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "which", lambda _name: None)
    with pytest.raises(program.ProgramError) as raised:
        program.require(docker="runs the host", ssh="reaches it", rsync="ships releases")
    assert str(raised.value) == (
        "Not installed on this machine: docker (runs the host), ssh (reaches it), rsync (ships releases). "
        "On Debian: apt-get install docker.io openssh-client rsync"
    )


BUILD = """#6 [4/5] RUN pip install -r requirements.txt
#6 3.6 Collecting fastapi
#6 3.9 ERROR: No matching distribution found for asyncpgg
#6 ERROR: executor failed running
------
 > [4/5] RUN pip install -r requirements.txt:
3.9 ERROR: No matching distribution found for asyncpgg
------
ERROR: failed to solve"""

OLDER = """#7 [build 3/7] RUN poetry install
#7 CACHED

#8 [build 4/7] RUN poetry install
#8 sha256:f3181ca7
#8 1.080 Resolving dependencies...
#8 2.521
#8 2.521 Package shop (2.16.3) not found.
#8 ERROR: executor failed running [/bin/sh -c poetry install]: exit code: 1
------
 > [build 4/7] RUN poetry install:
------
executor failed running [/bin/sh -c poetry install]: exit code: 1"""
"""Of Debian 12's Docker, whose summary has nothing of what the step printed."""

COPY = """#8 [4/4] COPY nothing .
#8 ERROR: failed to compute cache key: "/nothing" not found: not found
------
 > [4/4] COPY nothing .:
------
failed to compute cache key: "/nothing" not found: not found"""


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (
            BUILD,
            [
                "[4/5] RUN pip install -r requirements.txt",
                "Collecting fastapi",
                "ERROR: No matching distribution found for asyncpgg",
            ],
        ),
        (
            OLDER,
            ["[build 4/7] RUN poetry install", "Resolving dependencies...", "Package shop (2.16.3) not found."],
        ),
        (COPY, ["[4/4] COPY nothing .", 'ERROR: failed to compute cache key: "/nothing" not found: not found']),
        ("\n".join(map(str, range(40))), [str(number) for number in range(10, 40)]),
        ("------\nno build", ["------", "no build"]),
    ],
)
def test_of_a_failed_build_the_step_is_shown(printed: str, shown: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", f"print({printed!r}); raise SystemExit(1)"]
    with pytest.raises(program.ProgramError) as raised:
        program.logged(command, tmp_path / "log")
    assert str(raised.value).splitlines()[:-1] == shown
    assert str(tmp_path / "log") in str(raised.value)


def test_the_command_of_a_program_of_slipway_is_not_shown() -> None:
    of_slipway = {
        "cmd": ["python", "-P", "-m", "slipway.controller.build", "."],
        "rc": 1,
        "stderr": "error: no Dockerfile",
    }
    assert list(failure.lines(of_slipway)) == ["error: no Dockerfile"]
    assert list(failure.lines(of_slipway | {"cmd": "make image"})) == [
        "exit status 1: make image",
        "error: no Dockerfile",
    ]


@pytest.mark.parametrize(("service", "package"), [("postgres", "postgresql"), ("valkey", "redis-tools")])
def test_a_service_beside_the_app_that_is_not_installed_is_named_with_its_package(
    service: str, package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(data, "POSTGRESQL", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImageError, match=f"apt-get install {package}$"):
        data.require([service])
    data.require([])
