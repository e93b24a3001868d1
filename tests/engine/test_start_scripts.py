"""The start scripts, run by the shell that runs them on the host."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from slipway.engine.start_scripts import start_scripts
from slipway.model.errors import UsageError
from slipway.model.names import COMBINED_VARIABLE, CONTAINER_VARIABLES, RESERVED_VARIABLES
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
REPORT = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd(), os.getpid()]))"


def run(folder: Path, name: str = "web", given: dict[str, str] | None = None, **changed: Any) -> list[object]:
    """Write the scripts and run one; `/.slipway` is where they are."""
    process = subprocess.Popen(
        ["/bin/sh", write(folder, name, **changed)],
        env={"PATH": "/usr/bin:/bin"} | (given or {}),
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    output, _ = process.communicate()
    assert process.returncode == 0
    seen: list[object] = json.loads(output)
    assert name != "web" or seen[3] == process.pid, "the shell is still there: LISTEN_PID would be another's"
    return seen


def write(folder: Path, name: str = "web", **changed: Any) -> str:
    for script, text in start_scripts(A, manifest(**changed)).items():
        (folder / script).write_text(text.replace("/.slipway/", f"{folder}/"), encoding="utf-8")
    return str(folder / name)


def environment(seen: list[object]) -> dict[str, str]:
    assert isinstance(seen[1], dict)
    return seen[1]


def report(*arguments: str) -> dict[str, Any]:
    return {"entrypoint": [sys.executable, "-c", REPORT], "cmd": list(arguments)}


def test_arguments_arrive_as_they_are_in_the_image(folder: Path) -> None:
    assert run(folder, **report(*AWKWARD))[0] == AWKWARD


@pytest.mark.parametrize("source", ["env", "settings"])
def test_values_arrive_as_they_are(folder: Path, source: str) -> None:
    wanted = {f"VALUE_{number}": value for number, value in enumerate(AWKWARD)}
    seen = environment(run(folder, **report() | {source: wanted}))
    assert {name: seen.get(name) for name in wanted} == wanted


def test_settings_win_over_the_images_environment(folder: Path) -> None:
    seen = environment(run(folder, **report(), env={"MODE": "image", "ONLY": "image"}, settings={"MODE": "site"}))
    assert (seen["MODE"], seen["ONLY"]) == ("site", "image")


@pytest.mark.parametrize(
    "name", sorted((RESERVED_VARIABLES | CONTAINER_VARIABLES | {"DATABASE_URL", "PORT"}) - {COMBINED_VARIABLE})
)
def test_what_the_unit_sets_wins_over_the_image(folder: Path, name: str) -> None:
    seen = environment(run(folder, given={name: "the unit's"}, **report(), env={name: "the image's"}))
    assert seen[name] == "the unit's"


@pytest.mark.parametrize("name", ["PATH", "LANG", "LC_ALL"])
def test_the_image_wins_over_systemds_own_variables(folder: Path, name: str) -> None:
    value = "/opt/venv/bin:/usr/bin:/bin"
    assert environment(run(folder, given={name: "/usr/bin"}, **report(), env={name: value}))[name] == value


@pytest.mark.parametrize(("given", "combined"), [("--timeout 30", "-w 2 'a b' --timeout 30"), (None, "-w 2 'a b' ")])
def test_gunicorns_arguments_of_the_unit_follow_the_images(folder: Path, given: str | None, combined: str) -> None:
    unit = {"GUNICORN_CMD_ARGS": given} if given else {}
    seen = environment(run(folder, given=unit, **report(), env={"GUNICORN_CMD_ARGS": "-w 2 'a b'"}))
    assert seen["GUNICORN_CMD_ARGS"] == combined


def test_an_image_cannot_set_what_is_no_variable(folder: Path) -> None:
    assert environment(run(folder, **report(), env={"A;id>&2;B": "x", "BASH_FUNC_cd%%": "() { :; }", "OK": "1"}))["OK"]


def test_the_release_knows_who_it_is_whatever_its_settings_say(folder: Path) -> None:
    seen = environment(run(folder, **report(), settings={"SLIPWAY_RELEASE": "x"}, env={"SLIPWAY_COMMIT": "y"}))
    assert (seen["SLIPWAY_RELEASE"], seen["SLIPWAY_COMMIT"], seen["SLIPWAY_IMAGE"]) == (A, "a" * 40, IMAGE)


def test_it_runs_in_the_images_workdir(folder: Path) -> None:
    inside = folder / "it's a $dir"
    inside.mkdir()
    assert run(folder, **report(), workdir=str(inside))[2] == str(inside)
    assert run(folder, **report(), workdir="")[2] == "/"


def test_a_workdir_that_is_not_there_ends_it(folder: Path) -> None:
    script = write(folder, **report(), workdir=str(folder / "nothing"))
    done = subprocess.run(["/bin/sh", script], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stdout == ""


@pytest.mark.parametrize("secret", ["plain", "$(id) `id` 'x' \"y\"", "two\nlines", "-n", "\\n"])
def test_a_secret_becomes_a_variable(folder: Path, secret: str) -> None:
    (folder / "TOKEN").write_text(secret + "\n")
    given = {"CREDENTIALS_DIRECTORY": str(folder)}
    seen = environment(run(folder, given=given, **report(), secrets_as_environment=["TOKEN"]))
    assert seen["TOKEN"] == secret


def test_a_secret_wins_over_a_setting_of_the_same_name(folder: Path) -> None:
    (folder / "TOKEN").write_text("secret")
    given = {"CREDENTIALS_DIRECTORY": str(folder)}
    changed: dict[str, Any] = {
        "secrets_as_environment": ["TOKEN"],
        "settings": {"TOKEN": "public"},
        "env": {"TOKEN": "image"},
    }
    assert environment(run(folder, given=given, **report(), **changed))["TOKEN"] == "secret"


def test_a_secret_that_is_not_there_ends_it(folder: Path) -> None:
    script = write(folder, **report(), secrets_as_environment=["TOKEN"])
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
    line = f"test \"$MODE\" = site && exec {sys.executable} -c '{REPORT}' release"
    seen = run(folder, name="release", cmd=["x"], procfile={"release": line}, settings={"MODE": "site"})
    assert seen[0] == ["release"]


def test_a_migration_that_fails_fails(folder: Path) -> None:
    script = write(folder, name="release", procfile={"release": "false"})
    assert subprocess.run(["/bin/sh", script], check=False).returncode == 1


def test_the_procfile_does_not_replace_the_images_command() -> None:
    scripts = start_scripts(A, manifest(procfile={"web": "evil", "send-mail": "fine"}))
    assert sorted(scripts) == ["env", "ports", "process", "send-mail", "web"]
    assert not [name for name, text in scripts.items() if "evil" in text]


def test_a_writable_folder_is_filled_while_it_is_empty(tmp_path: Path) -> None:
    data, aside, scripts = tmp_path / "data", tmp_path / f"scripts/writable{tmp_path}/data", tmp_path / "scripts"
    data.mkdir()
    (aside / "sub").mkdir(parents=True)
    (aside / "sub/seed").write_text("seed")
    (aside / ".hidden").write_text("x")
    shipped = manifest(cmd=["true"])
    shipped.writable.append(str(data))  # no host has such a path
    for script, text in start_scripts(A, shipped).items():
        (scripts / script).write_text(text.replace("/.slipway/", f"{scripts}/"))
    command = ["/bin/sh", str(scripts / "web")]
    subprocess.run(command, check=True)
    assert (data / "sub/seed").read_text() == "seed" and (data / ".hidden").exists()
    (data / "sub/seed").unlink()
    subprocess.run(command, check=True)
    assert not (data / "sub/seed").exists(), "what the app has removed stays removed"


@pytest.mark.parametrize("value", ["0", "65536", "99999999", "-1", "http", "", "8000 ", "٨٠٨٠", "1" * 5000])
def test_a_setting_port_that_is_no_port_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match=r"the setting PORT is .*: it must be a number from 1 to 65535"):
        manifest(settings={"PORT": value})


@pytest.mark.parametrize("value", ["1", "65535", "08080"])
def test_a_setting_port_comes_first(value: str) -> None:
    assert manifest(settings={"PORT": value}, ports=[8000, 9000]).ports == [int(value), 8000, 9000]
