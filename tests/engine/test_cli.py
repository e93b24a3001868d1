"""The command: what it does, prints and returns."""

import io
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from slipway import __version__
from slipway.engine import cli, deploy, lock
from slipway.engine.errors import PhaseError
from slipway.engine.lock import Holder
from slipway.model.errors import SlipwayError
from slipway.model.site import Site
from tests.engine.conftest import USER
from tests.engine.fakes import Behaviour, FakeHost
from tests.engine.manifests import values
from tests.engine.names import A, B, C

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def wired(command_line: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting an engine's unit runs it."""
    host = command_line
    start = host.systemd.start

    def start_engine(*units: str, **options: Any) -> None:
        start(*units, **options)
        if units[0].startswith("deploy@"):
            assert cli.main(["engine", units[0][7:-8]]) in {0, 1}
            host.systemd.states[units[0]] = "inactive"

    monkeypatch.setattr(host.systemd, "start", start_engine)


def test_activate_prints_one_summary(host: FakeHost, capsys: Captured) -> None:
    host.ship(A)
    assert cli.main(["activate", A, "--by", "alice"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{A} is live (")
    assert host.releases.record(A).by == "alice"


def test_a_failed_activation_returns_1_and_prints_its_cause_on_stderr(host: FakeHost, capsys: Captured) -> None:
    host.ship(A, Behaviour(crashes=True, output=("ImportError",)))
    assert cli.main(["activate", A]) == 1
    captured = capsys.readouterr()
    assert f"slipway: release {A} failed in probe: the web server crashed" in captured.err
    assert "  ImportError" in captured.err


def test_no_wait_returns_at_once_and_wait_prints_the_result(host: FakeHost, capsys: Captured) -> None:
    host.ship(A)
    assert cli.main(["activate", A, "--no-wait"]) == 0
    capsys.readouterr()
    for until in ([], ["--for", "live"], ["--for", "done"]):
        assert cli.main(["wait", A, *until]) == 0
        assert capsys.readouterr().out.startswith(f"{A} is live (")


@pytest.fixture
def three(host: FakeHost, capsys: Captured) -> FakeHost:
    for release in (A, B, C):
        deploy.activate(host, host.ship(release))
    capsys.readouterr()
    return host


def test_rollback_goes_to_the_last_healthy_release(three: FakeHost, capsys: Captured) -> None:
    assert cli.main(["rollback"]) == 0
    assert three.releases.current() == B
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{B} is live")
    request = three.releases.record(B).request
    assert request
    assert request.kind == "rollback"


def test_rollback_goes_to_the_release_named(three: FakeHost, capsys: Captured) -> None:
    assert cli.main(["rollback", A, "--no-wait"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == A
    assert three.releases.current() == A


def test_a_rollback_without_a_target_says_so(host: FakeHost, capsys: Captured) -> None:
    assert cli.main(["rollback"]) == 1
    assert "no earlier healthy release on this host" in capsys.readouterr().err
    deploy.activate(host, host.ship(A))
    assert cli.main(["rollback"]) == 1


def test_a_rollback_that_failed_is_tried_again_by_name(three: FakeHost) -> None:
    """Its database may have been down, or has its data of before again."""
    three.change(B, identity={"image": "b"})
    three.systemd.behaviours[B] = Behaviour(crashes=True)
    with suppress(PhaseError):
        cli.main(["rollback", "--no-wait"])
    assert (three.releases.current(), three.releases.record(B).state) == (C, "failed")
    assert three.releases.rollback_target() == A, "by itself it goes further back"
    three.systemd.behaviours[B] = Behaviour()
    assert cli.main(["rollback", B, "--no-wait"]) == 0
    assert three.releases.current() == B


def test_a_rollback_never_goes_to_what_was_never_healthy(three: FakeHost, capsys: Captured) -> None:
    three.change(A, healthy=False)
    assert cli.main(["rollback", A]) == 1
    assert "was never healthy" in capsys.readouterr().err
    assert three.releases.current() == C


def test_shipping_reads_a_manifest_and_prints_where_files_go(
    host: FakeHost, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(values())))
    assert cli.main(["ship-begin", A]) == 0
    partial = Path(json.loads(capsys.readouterr().out)["partial"])
    (partial / "bin").mkdir()
    (partial / "bin/sh").touch()
    assert cli.main(["ship-end", A]) == 0
    assert host.releases.record(A).state == "shipped"


def test_the_apps_user_can_read_what_is_shipped_whatever_the_logins_umask_is(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o077)
    try:
        monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(values())))
        cli.main(["ship-begin", A])
        partial = host.releases.partial(A)
        (partial / "bin").mkdir()
        (partial / "bin/sh").touch()
        os.umask(0o077)
        cli.main(["ship-end", A])
    finally:
        os.umask(before)
    root = host.releases.path(A)
    for path in (root, root / ".slipway", root / ".slipway/web", root / "var/lib/app", root / "tmp"):
        assert path.stat().st_mode & 0o555 == 0o555, path


def test_a_manifest_that_is_none_returns_2(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("{"))
    assert cli.main(["ship-begin", A]) == 2
    assert "manifest" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["activate", "wait", "rollback", "engine", "ship-begin", "ship-end"])
def test_a_bad_release_name_returns_2_from_every_command(host: FakeHost, capsys: Captured, command: str) -> None:
    assert cli.main([command, "../../etc/passwd"]) == 2
    assert "is not the name of a release" in capsys.readouterr().err
    assert host.systemd.calls == []


@pytest.mark.parametrize("arguments", [[], ["deploy"], ["wait", A, "--for", "ever"], ["status", A]])
def test_what_is_no_command_returns_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize("command", ["activate", "wait", "rollback"])
def test_a_release_that_is_not_here_returns_1(capsys: Captured, command: str) -> None:
    assert cli.main([command, A]) == 1
    assert "no release" in capsys.readouterr().err


def test_a_refusal_names_the_holder_of_the_lock(host: FakeHost, capsys: Captured) -> None:
    host.ship(A)
    with lock.held(host.lock_file, Holder(release=B, by="bob@ci", since="10:00")):
        for command in (["activate", A], ["recover"]):
            assert cli.main(command) == 1
            assert f"{B} by bob@ci since 10:00" in capsys.readouterr().err


def test_recover_says_what_it_mended(three: FakeHost, capsys: Captured) -> None:
    assert cli.main(["recover"]) == 0
    assert "nothing to mend" in capsys.readouterr().out
    three.releases.set_slice("live", None)
    assert cli.main(["recover", "--boot"]) == 0
    assert capsys.readouterr().out == f"pointed all traffic at {C}\n"
    assert lock.holder(three.lock_file) is None


def test_status_is_text_or_json(three: FakeHost, capsys: Captured) -> None:
    assert cli.main(["status"]) == 0
    assert capsys.readouterr().out.startswith(f"{three.name}: healthy")
    assert cli.main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["live"] == C


def as_user(monkeypatch: pytest.MonkeyPatch, user: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)


def test_another_user_is_refused_with_the_command_to_type(
    host: FakeHost, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch, USER + 12345)
    for command in (["status"], ["recover"], ["rollback"], ["activate", A]):
        assert cli.main(command) == 2
        assert f"sudo -u deploy slipway {command[0]}" in capsys.readouterr().err


def test_root_may_look_and_nothing_else(host: FakeHost, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_number", lambda _name: 12345)
    as_user(monkeypatch, 0)
    assert cli.main(["status"]) == 0
    assert cli.main(["recover"]) == 2
    assert "runs as" in capsys.readouterr().err


def test_the_error_of_an_unprovisioned_host_names_the_command(host: FakeHost, capsys: Captured) -> None:
    host.releases.folder.rmdir()
    host.releases.sealed.rmdir()
    host.releases.root.rmdir()
    assert cli.main(["status"]) == 1
    assert "not provisioned. Run `ansible-playbook site.yml`" in capsys.readouterr().err


def test_the_error_of_a_host_without_settings_is_shown(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Site:
        raise SlipwayError("not provisioned")

    monkeypatch.setattr(Site, "load", missing)
    assert cli.main(["status"]) == 1
    assert capsys.readouterr().err == "slipway: not provisioned\n"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied"), "run it as the user `deploy`"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_an_error_of_the_system_is_shown_without_a_traceback(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, error: OSError, message: str
) -> None:
    def refuse(*_given: object, **_more: object) -> None:
        raise error

    monkeypatch.setattr(cli, "mend", refuse)
    assert cli.main(["recover"]) == 1
    assert message in capsys.readouterr().err


def test_version_needs_no_provisioned_host(host: FakeHost, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Site:
        raise SlipwayError("not provisioned")

    monkeypatch.setattr(Site, "load", missing)
    assert cli.main(["version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"
