"""Files that an attacker with the deploy key put where root's `slipway status` reads: it ends, and the terminal is left alone."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slipway.engine import audit, cli, deploy, files, oneoff
from slipway.engine.terminal import printable
from tests.engine.fakes import FakeHost
from tests.engine.names import A, B

EVIL = "\x1b]0;owned\x07\x9b31m\u202e\r"


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(files.MAX_BYTES + 1)


REPLACE: dict[str, Callable[[Path], None]] = {
    "fifo": os.mkfifo,
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "too large": large,
    "folder": Path.mkdir,
    "loop": lambda path: path.symlink_to(path),
}


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """A read that blocks ends the test, by SIGALRM."""
    signal.alarm(20)
    yield
    signal.alarm(0)


@pytest.fixture
def live(command_line: FakeHost, capsys: pytest.CaptureFixture[str]) -> FakeHost:
    """A is live, B was shipped."""
    deploy.activate(command_line, command_line.ship(A))
    command_line.ship(B)
    capsys.readouterr()
    return command_line


@pytest.mark.parametrize("kind", REPLACE)
@pytest.mark.parametrize("name", [f"releases/{B}.json", f"releases/{A}.json", f"releases/{A}.port", "audit.jsonl"])
def test_the_status_ends(live: FakeHost, capsys: pytest.CaptureFixture[str], name: str, kind: str) -> None:
    path = live.releases.root / name
    path.unlink(missing_ok=True)
    REPLACE[kind](path)
    assert cli.main(["status"]) == 0
    assert A in capsys.readouterr().out


def test_the_end_of_a_long_audit_is_read(live: FakeHost) -> None:
    file = live.releases.root / audit.FILE
    file.write_text('{"what": "x"}\n' * 100_000 + '{"what": "last"}\n')
    assert audit.last(live)[-1] == {"what": "last"}


def test_what_a_record_says_does_not_command_the_terminal(live: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    live.change(B, state="failed", cause=f"probe: {EVIL}")
    live.change(A, by=EVIL, commit=EVIL)
    audit.write(live, "run", release=A, by=EVIL, command=[EVIL])
    for command in (["status"], ["status", "--json"], ["wait", B], ["confirm", B]):
        cli.main(command)
        shown = "".join(capsys.readouterr())
        assert not [each for each in shown if each != "\n" and not each.isprintable()], command


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("grüße 日本", "grüße 日本"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b2J", "\\x9b2J"),
        ("\r\x08\x7f", "\\r\\x08\\x7f"),
        ("\u202eevil", "\\u202eevil"),
    ],
)
def test_what_is_printed(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.fixture
def journalctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Stand in for journalctl by a script, and for a terminal."""

    def stand_in(script: str) -> None:
        program = tmp_path / "bin/journalctl"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)

    return stand_in


def test_the_apps_log_leaves_the_terminal_alone(
    live: FakeHost, journalctl: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    journalctl(r"printf 'a\033]0;owned\007b\n'")
    assert oneoff.logs(live, None, None, follow=False, lines=10) == 0
    assert capsys.readouterr().out == "a\\x1b]0;owned\\x07b\n"


def test_a_journalctl_that_fails_is_no_success(live: FakeHost, journalctl: Callable[[str], None]) -> None:
    journalctl("exit 3")
    assert oneoff.logs(live, None, None, follow=False, lines=10) == 3


@pytest.fixture
def interruptible() -> Iterator[None]:
    """As on a terminal: a run of tests in the background ignores the signal, and so would all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_following_the_log_ends_by_ctrl_c_without_a_word_about_activations(
    live: FakeHost, journalctl: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    journalctl('echo line; sleep 0.5; kill -INT "$PPID"; kill -INT $$')
    assert oneoff.logs(live, None, None, follow=True, lines=10) == 130
    assert capsys.readouterr().out == "line\n"
