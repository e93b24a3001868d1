"""One-off commands in the live release: what runs, what is printed, what is kept of it."""

import json
import subprocess
from types import SimpleNamespace

import pytest

from slipway.engine import deploy, oneoff
from slipway.engine.systemd import Entry
from slipway.model.errors import SlipwayError, UsageError
from tests.engine.fakes import FakeHost
from tests.engine.names import A

Said = pytest.CaptureFixture[str]


@pytest.fixture
def live(host: FakeHost) -> FakeHost:
    deploy.activate(host, host.ship(A))
    return host


def test_it_prints_the_output_of_the_command_and_returns_its_status(live: FakeHost, capsys: Said) -> None:
    live.systemd.one_off = [
        Entry("Started run@", by_unit=False),
        Entry("hello", by_unit=True),
        Entry("Main process exited, status=3", by_unit=False, exit_status=3),
        Entry("Failed", by_unit=False, end=True),
    ]
    capsys.readouterr()
    assert oneoff.run(live, ["true"], by="alice", timeout=5) == 3
    assert capsys.readouterr().out == "hello\n"
    assert f"start run@{A}.service" in live.systemd.calls


def test_what_the_journal_has_only_once_it_is_synced_is_printed_as_well(live: FakeHost, capsys: Said) -> None:
    live.systemd.one_off = [Entry("one", by_unit=True)]
    exited, ended = Entry("", by_unit=False, exit_status=3), Entry("", by_unit=False, end=True)
    live.systemd.unsynced = [Entry("two", by_unit=True), exited, ended]
    capsys.readouterr()
    assert oneoff.run(live, ["true"], by="alice", timeout=5) == 3
    assert capsys.readouterr() == ("one\ntwo\n", "")


def test_that_lines_may_be_missing_is_said(live: FakeHost, capsys: Said) -> None:
    live.systemd.journald_hangs = True
    live.systemd.one_off = [Entry("one", by_unit=True), Entry("", by_unit=False, end=True)]
    capsys.readouterr()
    assert oneoff.run(live, ["true"], by="alice", timeout=5) == 0
    out, error = capsys.readouterr()
    assert (out, f"journalctl --namespace=+app --unit=run@{A}.service` has them" in error) == ("one\n", True), error


def test_an_end_that_the_journal_does_not_have_is_no_success(live: FakeHost) -> None:
    live.systemd.one_off = [Entry("one", by_unit=True)]
    with pytest.raises(SlipwayError, match="the journal does not say how yet"):
        oneoff.run(live, ["false"], by="alice", timeout=5)


def test_the_script_has_the_releases_environment_and_the_command_word_by_word(live: FakeHost) -> None:
    oneoff.run(live, ["printf", "%s|", "a b", "$HOME", "it's"], by="alice", timeout=5)
    script = live.releases.path(A) / ".slipway/run"
    assert script.read_text().splitlines()[:2] == ["#!/bin/sh", ". /.slipway/env"]
    assert script.stat().st_mode & 0o777 == 0o755
    command = script.read_text().splitlines()[2]
    assert subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout == "a b|$HOME|it's|"


def test_who_ran_what_is_kept(live: FakeHost) -> None:
    oneoff.run(live, ["echo", "one"], by="alice", timeout=5)
    oneoff.run(live, ["echo", "two"], by="bob", timeout=5)
    kept = [
        json.loads(line) for line in (live.releases.root / "audit.jsonl").read_text().splitlines() if '"run"' in line
    ]
    assert [(line["what"], line["by"], line["command"]) for line in kept] == [
        ("run", "alice", ["echo", "one"]),
        ("run", "bob", ["echo", "two"]),
    ]
    assert all(line["release"] == A and line["at"].endswith("+00:00") for line in kept)


def test_one_that_takes_too_long_is_stopped(live: FakeHost) -> None:
    live.systemd.one_off_hangs = True
    with pytest.raises(SlipwayError, match="was stopped; allow more with --timeout"):
        oneoff.run(live, ["sleep", "9"], by="alice", timeout=0.2)
    assert f"stop run@{A}.service" in live.systemd.calls


def test_a_second_one_is_refused_and_nothing_is_started(live: FakeHost) -> None:
    live.systemd.states[f"run@{A}.service"] = "active"
    with pytest.raises(SlipwayError, match="another one-off command runs"):
        oneoff.run(live, ["true"], by="alice", timeout=5)
    assert f"start run@{A}.service" not in live.systemd.calls
    assert not (live.releases.path(A) / ".slipway/run").exists()


def test_without_a_command_or_a_live_release_it_says_what_to_type(host: FakeHost) -> None:
    with pytest.raises(UsageError, match="slipway run -- python"):
        oneoff.run(host, [], by="alice", timeout=5)
    with pytest.raises(SlipwayError, match="no release is live on this host: deploy one first"):
        oneoff.run(host, ["true"], by="alice", timeout=5)


def test_a_shell_drops_privilege_before_anything_of_the_release_runs(
    live: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once inside its files every program is one that `deploy` shipped: only the last, as the app's user, may be."""
    became: list[list[str]] = []
    monkeypatch.setattr("os.execvp", lambda _program, words: became.append(words))
    monkeypatch.setattr("pwd.getpwnam", lambda _name: SimpleNamespace(pw_uid=990, pw_gid=991))
    monkeypatch.setattr(live.systemd, "main_process", lambda _unit: 4711)
    oneoff.shell(live)
    (words,) = became
    entered = words.index("nsenter")
    inside = words[words.index("--", entered) + 1 :]
    assert words[:entered] == ["setpriv", "--no-new-privs", "--"]
    assert {"--target=4711", "--root", "--setuid=990", "--setgid=991"} < set(
        words[entered : words.index("--", entered)]
    )
    assert inside[0] == "/bin/sh"
