"""The status of the host, for people and for programs."""

import json
from dataclasses import replace
from typing import Any

import pytest

from slipway import __version__
from slipway.engine import audit, deploy, lock, ship
from slipway.engine.errors import PhaseError
from slipway.engine.lock import Holder, Purpose
from slipway.engine.probe import Answer
from slipway.engine.status import status, text
from slipway.model import PROTOCOL
from slipway.model.errors import SlipwayError
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
        "version": __version__,
        "provisioned_version": None,
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
        "config": live.site.to_json(),
    }
    assert {name: values[name] for name in expected} == expected
    assert values["since"] == live.releases.record(B).live_at
    assert [(each["release"], each["state"]) for each in values["releases"]] == [(B, "live"), (A, "retired")]
    assert values["disk"]["free_bytes"] > 0
    assert values["disk"]["free_inodes"] > 0


@pytest.mark.parametrize("unit", [f"app@{A}.service", f"proxy@{A}.service", f"app-worker.1@{A}.service"])
def test_a_release_is_retired_when_its_last_unit_has_ended(live: FakeHost, unit: str) -> None:
    live.systemd.states[unit] = "deactivating"
    assert status(live)["releases"][1]["state"] == "retiring"
    assert f"    {A}  retiring" in text(status(live))
    live.systemd.states[unit] = "inactive"
    assert status(live)["releases"][1]["state"] == "retired"


def test_people_read_the_same(live: FakeHost) -> None:
    shown = text(status(live))
    assert shown.startswith("test-host: healthy\n")
    for value in (f"live      {B} since", "by alice", "c" * 40, f"rollback  {A}", "MiB free", f"* {B}  live"):
        assert value in shown
    assert f"    {A}  retired" in shown
    assert "secrets" not in shown
    assert "lock" not in shown


def test_a_host_without_a_release_is_empty(host: FakeHost) -> None:
    values = status(host)
    assert (values["state"], values["live"], values["rollback_target"], values["releases"]) == ("empty", None, None, [])
    assert "no earlier healthy release on this host" in text(values)


def test_a_release_that_does_not_answer_is_unhealthy(live: FakeHost) -> None:
    live.systemd.close()
    assert status(live)["state"] == "unhealthy"


def test_a_release_that_is_not_ready_is_unhealthy(live: FakeHost) -> None:
    live.systemd.servers[f"app@{B}.service"].behaviour = Behaviour(not_ready_for=10**9)
    assert status(live)["state"] == "unhealthy"


def test_a_release_behind_an_nginx_that_does_not_answer_is_unhealthy(live: FakeHost) -> None:
    def refused(*_args: object, **_options: object) -> Answer:
        return Answer(error="ConnectionRefusedError: [Errno 111] Connection refused")

    live.front.get = refused  # type: ignore[method-assign]
    values = status(live)
    assert values["state"] == "unhealthy"
    assert values["problem"] == "GET /readyz through nginx: ConnectionRefusedError: [Errno 111] Connection refused"
    assert "  problem   GET /readyz through nginx: Connection" in text(values)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            'cannot load certificate key "/k": BIO_new_file() failed (Permission denied)',
            "cannot be read by www-data: cannot",
        ),
        ('cannot load certificate "/c": PEM_read_bio_X509_AUX() failed', "nginx does not start: cannot load"),
        ('unknown directive "x" in /etc/nginx/site.d/http-x.conf:1', "nginx does not start: unknown directive"),
    ],
)
def test_an_nginx_that_does_not_start_says_why(live: FakeHost, message: str, told: str) -> None:
    live.systemd.nginx_output = [f"2026/11/28 06:45:44 [emerg] 4479#4479: {message}", "nginx.service: Failed"]
    assert status(live)["problem"] is None, "it answers: an error of before"
    live.front.get = lambda *_args, **_options: Answer(error="no answer within 5 s")  # type: ignore[method-assign]
    problem = status(live)["problem"]
    assert problem.startswith("GET /readyz through nginx: no answer within 5 s; ")
    assert told in problem
    assert message in problem


def test_the_site_that_the_host_belongs_to_is_told(live: FakeHost) -> None:
    site = {"project": "acme/shop", "environment": "production", "names": ["www.example.com", "example.com"]}
    assert status(live)["site"] is None, "of an older Slipway"
    live.owner.write_text(json.dumps(site))
    values = status(live)
    assert values["site"] == site
    assert "  site      acme/shop, production: www.example.com, example.com" in text(values)
    live.owner.write_text("{")
    with pytest.raises(SlipwayError, match="is damaged"):
        status(live)


def test_slices_that_differ_are_mixed(live: FakeHost) -> None:
    live.releases.set_slice("canary", A)
    values = status(live)
    assert (values["state"], values["canary"]) == ("mixed", A)


def test_the_holder_of_the_lock_is_named(live: FakeHost) -> None:
    with lock.held(live.lock_file, Holder(release=B, by="bob@ci", since="now")):
        values = status(live)
    assert (values["state"], values["lock"]["by"]) == ("deploying", "bob@ci")
    assert f"lock      {B} by bob@ci since now" in text(values)


def test_one_that_is_live_and_only_tidies_up_is_healthy(live: FakeHost) -> None:
    live.change(B, phase="retire", request={"state": "live"})
    with lock.held(live.lock_file, Holder(release=B)):
        values = status(live)
    assert (values["state"], values["lock"]["tidying"]) == ("healthy", True)


def test_an_activation_whose_engine_is_gone_is_interrupted(live: FakeHost) -> None:
    live.change(A, phase="probe", state="activating")
    assert status(live)["state"] == "interrupted"
    with lock.held(live.lock_file, Holder(Purpose.RECOVER)):
        assert status(live)["state"] == "interrupted", "what it left is being mended"


def test_secrets_that_changed_since_the_start_are_shown(live: FakeHost) -> None:
    live.secrets_hash.write_text("other")
    values = status(live)
    assert values["secrets_changed"]
    assert "the new ones are used from its next start on" in text(values)


def test_a_failed_release_is_listed_with_the_first_line_of_its_cause(host: FakeHost) -> None:
    with pytest.raises(PhaseError):
        deploy.activate(host, host.ship(A, Behaviour(crashes=True, output=("secret detail",))))
    shown = text(status(host))
    assert f"    {A}  failed: probe: the web server crashed while starting (exit status 3)" in shown
    assert "secret detail" not in shown


@pytest.mark.parametrize("damage", ["", None])
def test_a_live_release_whose_record_is_lost_still_has_a_status(live: FakeHost, damage: str | None) -> None:
    file = live.releases.folder / f"{B}.json"
    file.unlink() if damage is None else file.write_text(damage)
    values = status(live)
    assert (values["live"], values["state"]) == (B, "healthy")
    assert "record is missing or damaged" in text(values)


def test_an_audit_that_cannot_be_written_is_a_warning(host: FakeHost) -> None:
    (host.releases.root / audit.FILE).mkdir()
    deploy.activate(host, host.ship(A))
    assert host.releases.current() == A
    line = audit.activation(host, host.releases.record(A), "done", seconds=0, old=None)
    assert line.startswith("warning: the audit has no entry of this: [Errno 21]")


@pytest.mark.parametrize(
    ("provisioned", "shown"), [(__version__, f"slipway   {__version__}\n"), ("0.8.1", ", provisioned by 0.8.1\n")]
)
def test_the_version_and_the_one_that_provisioned_the_host_are_shown(
    live: FakeHost, provisioned: str, shown: str
) -> None:
    live.site = replace(live.site, version=provisioned)
    values = status(live)
    assert (values["version"], values["provisioned_version"]) == (__version__, provisioned)
    assert shown in text(values)


@pytest.mark.parametrize(
    ("commit", "told"),
    [
        ("c" * 40, "c" * 40),
        ("c" * 40 + "-dirty", "c" * 40 + ", with changes that no commit has"),
        (None, "unknown"),
    ],
)
def test_the_commit_is_told_as_far_as_it_is_known(host: FakeHost, commit: str | None, told: str) -> None:
    deploy.activate(host, host.ship(A, commit=commit))
    assert f"  commit    {told}" in text(status(host)).splitlines()
