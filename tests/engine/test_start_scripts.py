"""The start scripts, run by the shell that runs them on the host."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from slipway.ship import UNIT_OWNED, start_scripts
from tests.engine.manifests import IMAGE, manifest
from tests.engine.names import A

AWKWARD = [
    "plain",
    "",
    " spaces  inside ",
    "it's",
    'say "hi"',
    "two\nlines\n",
    "$HOME ${HOME} $(id) `id`",
    "back\\slash\\n",
    "a;b|c&d>e<f*g?h[i]j{k}l~m#n!o",
    "-n",
    "\t\r",
    "grüße ☃",
    "'\"'\"'",
]
TELL = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd(), os.getpid()]))"


def run(folder: Path, name: str = "web", given: dict[str, str] | None = None, **changed: Any) -> list[object]:
    """Write the scripts and run one; `/.slipway` is where they are."""
    process = subprocess.Popen(
        ["/bin/sh", write(folder, name, **changed)],
        env={"PATH": "/usr/bin:/bin"} | (given or {}),
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    said, _ = process.communicate()
    assert process.returncode == 0
    told: list[object] = json.loads(said)
    assert name != "web" or told[3] == process.pid, "the shell is still there: LISTEN_PID would be another's"
    return told


def write(folder: Path, name: str = "web", **changed: Any) -> str:
    for script, text in start_scripts(A, manifest(**changed)).items():
        (folder / script).write_text(text.replace("/.slipway/", f"{folder}/"), encoding="utf-8")
    return str(folder / name)


def environment(told: list[object]) -> dict[str, str]:
    assert isinstance(told[1], dict)
    return told[1]


def tell(*arguments: str) -> dict[str, Any]:
    return {"entrypoint": [sys.executable, "-c", TELL], "cmd": list(arguments)}


def test_arguments_arrive_as_they_are_in_the_image(folder: Path) -> None:
    assert run(folder, **tell(*AWKWARD))[0] == AWKWARD


@pytest.mark.parametrize("source", ["env", "settings"])
def test_values_arrive_as_they_are(folder: Path, source: str) -> None:
    wanted = {f"VALUE_{number}": value for number, value in enumerate(AWKWARD)}
    told = environment(run(folder, **tell() | {source: wanted}))
    assert {name: told.get(name) for name in wanted} == wanted


def test_settings_win_over_the_images_environment(folder: Path) -> None:
    told = environment(run(folder, **tell(), env={"MODE": "image", "ONLY": "image"}, settings={"MODE": "site"}))
    assert (told["MODE"], told["ONLY"]) == ("site", "image")


@pytest.mark.parametrize("name", sorted(UNIT_OWNED))
def test_what_the_unit_sets_wins_over_the_image(folder: Path, name: str) -> None:
    told = environment(run(folder, given={name: "the unit's"}, **tell(), env={name: "the image's"}))
    assert told[name] == "the unit's"


def test_an_image_cannot_set_what_is_no_variable(folder: Path) -> None:
    assert environment(run(folder, **tell(), env={"A;id>&2;B": "x", "BASH_FUNC_cd%%": "() { :; }", "OK": "1"}))["OK"]


def test_the_release_knows_who_it_is_whatever_its_settings_say(folder: Path) -> None:
    told = environment(run(folder, **tell(), settings={"SLIPWAY_RELEASE": "x"}, env={"SLIPWAY_COMMIT": "y"}))
    assert (told["SLIPWAY_RELEASE"], told["SLIPWAY_COMMIT"], told["SLIPWAY_IMAGE"]) == (A, "a" * 40, IMAGE)


def test_it_runs_in_the_images_workdir(folder: Path) -> None:
    inside = folder / "it's a $dir"
    inside.mkdir()
    assert run(folder, **tell(), workdir=str(inside))[2] == str(inside)
    assert run(folder, **tell(), workdir="")[2] == "/"


def test_a_workdir_that_is_not_there_ends_it(folder: Path) -> None:
    script = write(folder, **tell(), workdir=str(folder / "nothing"))
    done = subprocess.run(["/bin/sh", script], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stdout == ""


@pytest.mark.parametrize("secret", ["plain", "$(id) `id` 'x' \"y\"", "two\nlines", "-n", "\\n"])
def test_a_secret_becomes_a_variable(folder: Path, secret: str) -> None:
    (folder / "TOKEN").write_text(secret + "\n")
    given = {"CREDENTIALS_DIRECTORY": str(folder)}
    told = environment(run(folder, given=given, **tell(), secrets_as_environment=["TOKEN"]))
    assert told["TOKEN"] == secret


def test_a_secret_wins_over_a_setting_of_the_same_name(folder: Path) -> None:
    (folder / "TOKEN").write_text("secret")
    given = {"CREDENTIALS_DIRECTORY": str(folder)}
    changed: dict[str, Any] = {
        "secrets_as_environment": ["TOKEN"],
        "settings": {"TOKEN": "public"},
        "env": {"TOKEN": "image"},
    }
    assert environment(run(folder, given=given, **tell(), **changed))["TOKEN"] == "secret"


def test_a_secret_that_is_not_there_ends_it(folder: Path) -> None:
    script = write(folder, **tell(), secrets_as_environment=["TOKEN"])
    done = subprocess.run(
        ["/bin/sh", script],
        env={"CREDENTIALS_DIRECTORY": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert done.stdout == ""


def test_each_line_of_the_procfile_is_a_script_with_the_same_environment(folder: Path) -> None:
    line = f"test \"$MODE\" = site && exec {sys.executable} -c '{TELL}' release"
    told = run(folder, name="release", cmd=["x"], procfile={"release": line}, settings={"MODE": "site"})
    assert told[0] == ["release"]


def test_a_migration_that_fails_fails(folder: Path) -> None:
    script = write(folder, name="release", procfile={"release": "false"})
    assert subprocess.run(["/bin/sh", script], check=False).returncode == 1


def test_the_procfile_does_not_replace_the_images_command() -> None:
    scripts = start_scripts(A, manifest(procfile={"web": "evil", "send-mail": "fine"}))
    assert sorted(scripts) == ["env", "process", "send-mail", "web"]
    assert not [name for name, text in scripts.items() if "evil" in text]
