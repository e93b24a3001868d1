"""tools/check: what runs beside what, what a failure stops, and what the report says."""

import re
import subprocess
from pathlib import Path

import pytest

from tools.checkout import ROOT
from tools.scheduler import Scheduler, Step

PROGRAM = """#!/bin/sh
echo "begin $1" >> events
sleep 0.3
# Until the failure was noticed, on a busy machine as well.
[ "$1" != beside ] || { timeout 30 sh -c 'until grep -q "end bad" events; do sleep 0.1; done'; sleep 3; }
echo "end $1" >> events
echo "the output of $1"
printf '%s\\n' '____ test_it ____' 'E       AssertionError: why' 'E  1' 'E  2' 'E  3' 'E  4' 'a line of no interest' 'E  5'
printf '  \\033[2m│\\033[0m %s\\n' '_ test_of_a_long_name[on a host] _' 'E  another'
[ "$1" != bad ] || echo "FAILED tests/test_it.py::test_it"
echo "=== 12 passed in 0.30s ==="
printf '  \\033[2m│\\033[0m %s\\n' '=== 3 passed in 0.10s ==='
[ "$1" != bad ]
"""


@pytest.fixture
def scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scheduler:
    """Runs steps that note when they begin and end."""
    program = tmp_path / "steps"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return Scheduler(program, tmp_path / "log", jobs=2)


def events() -> list[str]:
    return Path("events").read_text().splitlines()


def steps(*names: str, alone: str = "") -> list[Step]:
    return [Step(name, "all", alone=name == alone) for name in names]


def test_as_many_steps_as_jobs_run_at_a_time(scheduler: Scheduler) -> None:
    assert scheduler.run(steps("a", "b", "c")) == 0
    assert {event.split()[0] for event in events()[:2]} == {"begin"}
    assert events().index("begin c") > min(events().index("end a"), events().index("end b"))


@pytest.mark.parametrize("alone", ["a", "b", "c"])
def test_a_step_that_measures_runs_alone(scheduler: Scheduler, alone: str) -> None:
    assert scheduler.run(steps("a", "b", "c", alone=alone)) == 0
    began = events().index(f"begin {alone}")
    assert events()[began + 1] == f"end {alone}"
    assert sum(event.startswith("begin") for event in events()[:began]) == began / 2


def test_a_failure_stops_later_steps_and_not_the_one_beside_it(
    scheduler: Scheduler, capfd: pytest.CaptureFixture[str]
) -> None:
    assert scheduler.run(steps("bad", "beside", "later")) == 1
    assert "end beside" in events()
    assert "begin later" not in events()
    output, errors = capfd.readouterr()
    assert "the output of bad" in output
    assert "the output of beside" not in output
    *reasons, end, seconds = errors.splitlines()
    assert reasons == [
        "____ test_it ____",
        "E       AssertionError: why",
        "E  1",
        "E  2",
        "E  3",
        "_ test_of_a_long_name[on a host] _",
        "E  another",
        "FAILED tests/test_it.py::test_it",
    ]
    assert end.startswith("error: bad failed: its whole output is in")
    assert seconds == "seconds:"


def test_a_run_that_keeps_going_ends_red_all_the_same(tmp_path: Path, scheduler: Scheduler) -> None:
    keeps_going = Scheduler(tmp_path / "steps", tmp_path / "log", jobs=1, keep_going=True)
    assert keeps_going.run(steps("bad", "later")) == 1
    assert events()[-1] == "end later"


def test_the_report_has_every_steps_time_and_the_runners_own_words(
    scheduler: Scheduler, capfd: pytest.CaptureFixture[str]
) -> None:
    scheduler.run([Step("a", "all"), Step("a", "all", argument="default")])
    report = capfd.readouterr().out.partition("== summary")[2].splitlines()
    assert re.fullmatch(r" \(\d+ s, cores \d+% busy\)", report[0])
    assert [line.split()[0] for line in report[1:3]] == ["a", "a_default"]
    assert all(line.endswith(" ok") for line in report[1:3])
    assert report[3:] == ["=== 12 passed in 0.30s ===", "=== 3 passed in 0.10s ==="] * 2


def test_a_step_by_itself_is_shown_while_it_runs(scheduler: Scheduler, capfd: pytest.CaptureFixture[str]) -> None:
    scheduler.run(steps("a"))
    assert capfd.readouterr().out.count("the output of a") == 1


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "tools/check", *arguments], capture_output=True, text=True, check=False)


def test_every_step_exists_and_every_set_has_steps() -> None:
    functions = (ROOT / "tools/steps").read_text()
    for name in ("lint", "fast", "all", "everything"):
        listed = check("--list", name).stdout.splitlines()
        assert len(listed) == len(set(listed)) > 5
        for title in listed:
            step = title.split()[0]
            step = re.sub("^(molecule(?:_all)?)_.*", r"\1", step)
            assert f"\n{step}() {{" in functions


def test_every_scenario_runs_in_the_long_run() -> None:
    scenarios = {path.parent.name for path in (ROOT / "ansible/molecule").glob("*/molecule.yml")}
    listed = check("--list", "everything").stdout.split()
    assert {f"molecule_all_{scenario}" for scenario in scenarios} <= set(listed)


def test_a_name_that_is_no_step_is_refused() -> None:
    done = check("lint", "unitt")
    assert done.returncode == 1
    assert "unitt is not a step: name one of lint fast all" in done.stderr
