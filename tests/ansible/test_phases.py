"""The callback that `slipway` chooses: a line for each phase, its time of the last run, and of a failure what a person reads."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from slipway.controller.timings import Timings, seconds
from tests.ansible.conftest import ANSIBLE

TASKS = """
- name: ship | Send the files
  ansible.builtin.command: sleep 0.2
  changed_when: true
  notify: Tell
- name: Include a file
  ansible.builtin.include_tasks: more.yml
- name: ship | Flush handlers
  ansible.builtin.meta: flush_handlers
- name: activate | Wait
  ansible.builtin.command: "false"
  ignore_errors: true
- name: activate | Compare
  ansible.builtin.debug: {msg: never seen}
  changed_when: false
  notify: Tell
- name: activate | Skip
  ansible.builtin.debug: {msg: never seen}
  when: false
- name: activate | Judge
  ansible.builtin.assert: {that: not fails | default(false) | bool, fail_msg: the cause of it, quiet: true}
- name: report | Print the report
  ansible.builtin.debug: {msg: [first line, second line]}
"""


@pytest.fixture
def play(tmp_path: Path) -> Path:
    (tmp_path / "roles/release/tasks").mkdir(parents=True)
    (tmp_path / "roles/release/handlers").mkdir()
    (tmp_path / "roles/release/tasks/main.yml").write_text(TASKS)
    (tmp_path / "roles/release/tasks/more.yml").write_text("- name: ship | More\n  ansible.builtin.command: 'true'\n")
    (tmp_path / "roles/release/handlers/main.yml").write_text("- name: Tell\n  ansible.builtin.command: 'true'\n")
    (tmp_path / "site.yml").write_text(
        "- hosts: localhost\n  connection: local\n  gather_facts: false\n  roles: [release]\n- hosts: nobody\n"
    )
    (tmp_path / "roles/release/meta").mkdir()
    (tmp_path / "roles/release/meta/argument_specs.yml").write_text("argument_specs: {main: {options: {}}}\n")
    return tmp_path


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "phases"}
    environment |= {"SLIPWAY_TIMINGS": str(folder / "cache/deploy.json"), "ANSIBLE_ROLES_PATH": str(folder / "roles")}
    program = Path(sys.executable).with_name("ansible-playbook")
    return subprocess.run(
        [program, "--inventory=localhost,", *arguments, folder / "site.yml"],
        env=os.environ | environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_phases_are_told_with_their_times(play: Path) -> None:
    first = run(play)
    assert first.returncode == 0, first.stdout + first.stderr
    lines = first.stdout.splitlines()
    assert [" ".join(line.split()[:2]) for line in lines if line.startswith("release: ")] == [
        "release: ship",
        "release: handlers",
        "release: activate",
    ]
    assert lines[-2:] == ["first line", "second line"]  # no line of a phase that only prints
    assert "never seen" not in first.stdout
    assert "no hosts matched" not in first.stdout
    assert "fatal" not in first.stdout
    assert "last time" not in first.stdout
    kept = json.loads((play / "cache/deploy.json").read_text())
    assert kept["release: ship"] >= 0.2
    second = run(play)
    assert f"(last time {seconds(kept['release: ship'])})" in second.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "phases"),
    [
        ("Preflight", ["preflight"]),
        ("Provision", ["release"]),
        ("Provision the data host", ["release"]),
        ("Deploy", ["release: ship", "release: handlers", "release: activate"]),
    ],
)
def test_what_comes_before_a_deploy_has_a_line_for_each_role(play: Path, name: str, phases: list[str]) -> None:
    site = play / "site.yml"
    site.write_text(site.read_text().replace("- hosts: localhost", f"- name: {name}\n  hosts: localhost"))
    lines = run(play).stdout.splitlines()
    assert [line.rpartition("  ")[0].strip() for line in lines if line.endswith(" s")] == phases


@pytest.mark.slow
def test_without_phases_what_is_printed_and_failures_are_all(play: Path) -> None:
    assert run(play, SLIPWAY_PHASES="none").stdout == "first line\nsecond line\n"
    failed = run(play, "-e", "fails=true", SLIPWAY_PHASES="none").stdout
    assert failed.startswith("\nfailed: localhost: release : activate | Judge\n    the cause of it\n")


@pytest.mark.slow
def test_a_failure_is_told_once_and_its_time_is_not_kept(play: Path) -> None:
    done = run(play, "-e", "fails=true")
    assert done.returncode != 0
    assert done.stdout.endswith(
        "\nfailed: localhost: release : activate | Judge\n    the cause of it\n"
        "\nAll that Ansible knows of it: repeat this with -v.\n"
    )
    assert "cause" not in done.stderr
    assert set(json.loads((play / "cache/deploy.json").read_text())) == {"release: ship", "release: handlers"}


FAILURES = {
    "a wrong variable": (
        """
        - ansible.builtin.validate_argument_spec:
            argument_spec: {size: {type: int, description: never told}}
            provided_arguments: {size: large}
        """,
        "argument 'size' is of type str and we were unable to convert to int",
    ),
    "a program": (
        "- ansible.builtin.command: {argv: [sh, -c, 'echo out; echo err >&2; exit 3']}",
        "    exit status 3: sh -c echo out; echo err >&2; exit 3\n    err\n    out\n",
    ),
    "a program that is not there": ("- ansible.builtin.command: /nowhere/program", "No such file or directory"),
    "an item": (
        "- ansible.builtin.fail: {msg: 'no {{ item }} today'}\n  loop: [bread]",
        "failed: localhost: ansible.builtin.fail (bread)\n    no bread today\n",
    ),
    "a secret": (
        "- ansible.builtin.command: {argv: [sh, -c, 'echo password; exit 1']}\n  no_log: true",
        "'no_log: true' was specified for this result",
    ),
    "no variable": ("- ansible.builtin.debug: {msg: '{{ nothing }}'}", "'nothing' is undefined"),
    "its place": ("- ansible.builtin.debug: {msg: '{{ nothing }}'}", "site.yml:5:36\n"),
    "no module's parameter": (
        "- ansible.builtin.file: {state: touch}",
        "missing required arguments: path",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("task", "says"), FAILURES.values(), ids=FAILURES)
def test_the_cause_is_told_and_what_ansible_was_told_is_not(tmp_path: Path, task: str, says: str) -> None:
    tasks = textwrap.indent(textwrap.dedent(task).strip(), "    ")
    head = "- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n"
    (tmp_path / "site.yml").write_text(f"{head}{tasks}\n")
    done = run(tmp_path)
    assert done.returncode != 0
    assert says in done.stdout
    assert done.stdout.count(says) == 1
    assert len(done.stdout.splitlines()) < 12
    assert "[ERROR]" not in done.stderr
    assert "password" not in done.stdout
    assert "never told" not in done.stdout


@pytest.mark.slow
def test_a_host_that_is_not_reached_is_told(tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text(
        "- hosts: localhost\n  connection: ssh\n  gather_facts: false\n"
        "  vars: {ansible_host: 127.0.0.1, ansible_port: 1}\n  tasks: [{ansible.builtin.ping: }]\n"
    )
    done = run(tmp_path)
    assert done.returncode != 0
    assert "unreachable: localhost: ansible.builtin.ping\n" in done.stdout
    assert "Connection refused" in done.stdout


@pytest.mark.parametrize("text", ["", "{", "[]", '{"ship": "long"}', '{"ship": null}'])
def test_times_that_cannot_be_read_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "times.json").write_text(text)
    timings = Timings.read(tmp_path / "times.json")
    assert timings.last("ship") == ""
    timings.add("ship", 1)
    timings.add("ship", 1.5)
    timings.save()
    assert Timings.read(tmp_path / "times.json").last("ship") == "last time 2.5 s"


def test_times_that_cannot_be_written_fail_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    timings = Timings.read(tmp_path / "file/times.json")
    timings.add("ship", 1)
    timings.save()


@pytest.mark.parametrize(("value", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (113, "1 min 53 s")])
def test_durations_are_told_as_people_do(value: float, text: str) -> None:
    assert seconds(value) == text
