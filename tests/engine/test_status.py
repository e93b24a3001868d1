"""What is told of the host, to people and to programs."""

import json
from typing import Any

import pytest

from slipway import PROTOCOL, audit, deploy, lock, ship
from slipway.errors import PhaseError
from slipway.status import status, text
from tests.engine.fakes import Behaviour, FakeHost
from tests.engine.names import A, B


@pytest.fixture
def live(host: FakeHost) -> FakeHost:
    """B is live, A was before it."""
    for release in (A, B):
        identity = {"secrets": "abc"}
        deploy.activate(
            host, host.ship(release, commit="c" * 40, image="sha256:1", image_name="app", identity=identity)
        )
    return host


def test_it_is_one_json_document_with_what_playbooks_read(live: FakeHost) -> None:
    values: dict[str, Any] = json.loads(json.dumps(status(live)))
    expected = {
        "protocol": PROTOCOL,
        "host": "test-host",
        "architecture": ship.architecture(),
        "state": "healthy",
        "live": B,
        "canary": B,
        "by": "alice",
        "commit": "c" * 40,
        "image": "sha256:1",
        "image_name": "app",
        "rollback_target": A,
        "secrets_changed": False,
        "lock": None,
        "config": live.config.as_dict(),
    }
    assert {name: values[name] for name in expected} == expected
    assert values["since"] == live.releases.record(B).live_at
    assert [(each["release"], each["state"]) for each in values["releases"]] == [(B, "live"), (A, "retired")]
    assert values["disk"]["free_bytes"] > 0
    assert values["disk"]["free_inodes"] > 0


def test_people_read_the_same(live: FakeHost) -> None:
    told = text(status(live))
    assert told.startswith("test-host: healthy\n")
    for value in (f"live      {B} since", "by alice", "c" * 40, f"rollback  {A}", "MiB free", f"* {B}  live"):
        assert value in told
    assert f"    {A}  retired" in told
    assert "secrets" not in told
    assert "lock" not in told


def test_a_host_without_a_release_is_empty(host: FakeHost) -> None:
    values = status(host)
    assert (values["state"], values["live"], values["rollback_target"], values["releases"]) == ("empty", None, None, [])
    assert "nothing to go back to" in text(values)


def test_a_release_that_does_not_answer_is_unhealthy(live: FakeHost) -> None:
    live.systemd.close()
    assert status(live)["state"] == "unhealthy"


def test_a_release_that_is_not_ready_is_unhealthy(live: FakeHost) -> None:
    live.systemd.servers[f"app@{B}.service"].behaviour = Behaviour(not_ready_for=10**9)
    assert status(live)["state"] == "unhealthy"


def test_slices_that_differ_are_mixed(live: FakeHost) -> None:
    live.releases.set_slice("canary", A)
    values = status(live)
    assert (values["state"], values["canary"]) == ("mixed", A)


def test_whoever_holds_the_lock_is_named(live: FakeHost) -> None:
    with lock.held(live.lock_file, {"release": B, "by": "bob@ci", "since": "now"}):
        values = status(live)
    assert (values["state"], values["lock"]["by"]) == ("deploying", "bob@ci")
    assert f"lock      {B} by bob@ci since now" in text(values)


def test_one_that_is_live_and_only_tidies_up_is_healthy(live: FakeHost) -> None:
    live.change(B, phase="retire", request=live.releases.record(B).request | {"state": "live"})
    with lock.held(live.lock_file, {"release": B}):
        values = status(live)
    assert (values["state"], values["lock"]["tidying"]) == ("healthy", True)


def test_an_activation_whose_engine_is_gone_is_interrupted(live: FakeHost) -> None:
    live.change(A, phase="probe", state="activating")
    assert status(live)["state"] == "interrupted"
    with lock.held(live.lock_file, {"release": lock.MENDS}):
        assert status(live)["state"] == "interrupted", "what it left is being mended"


def test_secrets_that_changed_since_the_start_are_said(live: FakeHost) -> None:
    live.secrets_hash.write_text("other")
    values = status(live)
    assert values["secrets_changed"]
    assert "uses today's from its next start on" in text(values)


def test_a_failed_release_is_listed_with_the_first_line_of_its_cause(host: FakeHost) -> None:
    with pytest.raises(PhaseError):
        deploy.activate(host, host.ship(A, Behaviour(crashes=True, says=("secret detail",))))
    told = text(status(host))
    assert f"    {A}  failed: probe: it crashed while starting (exit status 3)" in told
    assert "secret detail" not in told


@pytest.mark.parametrize("damage", ["", None])
def test_a_live_release_whose_record_is_lost_still_has_a_status(live: FakeHost, damage: str | None) -> None:
    file = live.releases.folder / f"{B}.json"
    file.unlink() if damage is None else file.write_text(damage)
    values = status(live)
    assert (values["live"], values["state"]) == (B, "healthy")
    assert "record is missing or damaged" in text(values)


def test_what_cannot_be_written_into_the_audit_is_said_and_changes_nothing(host: FakeHost) -> None:
    (host.releases.root / audit.FILE).mkdir()
    deploy.activate(host, host.ship(A))
    assert host.releases.current() == A
    said = audit.activation(host, host.releases.record(A), "done", seconds=0, old=None)
    assert said.startswith("warning: it is not in the audit: [Errno 21]")
