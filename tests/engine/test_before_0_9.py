"""Documents that the engine before 0.9 wrote (before_0_9/, by that engine): they are read, and what is written is readable."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipway.engine import deploy, ship
from slipway.engine.lock import Holder, Purpose
from slipway.engine.releases import now
from slipway.engine.start_scripts import start_scripts
from slipway.engine.status import status, text
from slipway.model.manifest import Manifest
from slipway.model.record import Record, Request
from slipway.model.site import Site
from slipway.model.states import ActivationState, Kind, ReleaseState
from tests.engine.fakes import FakeHost
from tests.engine.names import A, B, C, D

DOCUMENTS = Path(__file__).parent / "before_0_9"
RELEASES = {"retired": A, "live": B, "failed": C, "shipped": D}


def document(name: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((DOCUMENTS / f"{name}.json").read_text())
    return values


def record(state: str) -> Record:
    return Record.from_json(RELEASES[state], document(f"record-{state}"))


@pytest.fixture
def upgraded(host: FakeHost) -> FakeHost:
    """A host whose releases the old engine shipped; B is live."""
    for state, release in RELEASES.items():
        host.ship(release)
        (host.releases.folder / f"{release}.json").write_text((DOCUMENTS / f"record-{state}.json").read_text())
    host.releases.set_current(B)
    for slice_ in ("live", "canary"):
        host.releases.set_slice(slice_, B)
    host.systemd.start(f"app@{B}.socket", f"app@{B}.service")
    return host


@pytest.mark.parametrize("state", RELEASES)
def test_a_record_is_read_and_written_with_the_same_keys(state: str) -> None:
    old, new = document(f"record-{state}"), record(state).to_json()
    assert new["state"] == old["state"] == state
    for name, value in old.items():
        if name == "phases":
            assert [{"name", "at", "seconds"} <= set(phase) for phase in new[name]] == [True] * len(value)
        elif name == "request":
            assert value.items() <= new[name].items()
        else:
            assert new[name] == value
    assert Record.from_json(RELEASES[state], json.loads(json.dumps(new))) == record(state)


def test_states_and_requests_are_typed() -> None:
    live = record("live")
    assert (live.state, live.activation, live.by) == (ReleaseState.LIVE, ActivationState.DONE, "alice@laptop")
    assert live.request
    assert (live.request.kind, live.request.replaces, live.request.origin) == (Kind.DEPLOY, A, None)
    assert live.request.requested_at == document("record-live")["request"]["at"]
    shipped = record("shipped")
    assert (shipped.request, shipped.activation, shipped.by) == (None, None, "alice@laptop")


def test_the_figures_of_a_watch_have_their_new_names() -> None:
    samples = {phase.name: phase.samples for phase in record("live").phases}["watch-canary"]
    assert samples
    assert set(samples) == {"traffic", "probes"}
    assert samples["probes"]["new"]["attempts"] > 0
    assert samples["probes"]["new"]["failed"] == 0


def test_the_site_is_read() -> None:
    site = Site.load(DOCUMENTS / "config.json")
    assert (site.processes, site.single_processes, site.jobs) == ({"worker": 2}, ["beat"], ["nightly"])
    assert site.version is None
    assert document("config").items() <= site.to_json().items()


def test_a_shipment_that_the_old_engine_began_is_read() -> None:
    assert Manifest.parse((DOCUMENTS / "manifest.json").read_text()).image.id == "sha256:" + "5" * 64


def test_the_old_engine_finds_all_that_it_needs_in_a_manifest() -> None:
    assert document("manifest").keys() <= Manifest.parse((DOCUMENTS / "manifest.json").read_text()).to_json().keys()


@pytest.mark.parametrize(
    ("written", "holder"),
    [
        (
            {"release": A, "by": "bob", "from": "192.0.2.7", "since": "10:00"},
            Holder(Purpose.ACTIVATE, A, "bob", "192.0.2.7", "10:00"),
        ),
        ({"release": "recover", "by": "bob", "since": "10:00"}, Holder(Purpose.RECOVER, by="bob", since="10:00")),
        ({"release": "prune", "by": "bob"}, Holder(Purpose.PRUNE, by="bob")),
        ({}, Holder()),
        ([], Holder()),
    ],
)
def test_the_holder_of_the_lock_is_known(written: Any, holder: Holder) -> None:
    assert Holder.from_json(written) == holder
    assert Holder.from_json(json.loads(json.dumps(holder.to_json()))) == holder


def test_the_new_engine_takes_over_the_host(upgraded: FakeHost) -> None:
    assert status(upgraded)["state"] == "healthy"
    assert upgraded.releases.rollback_target() == A
    shown = text(status(upgraded))
    assert "provisioned by a version before 0.9" in shown
    assert f"{C}  failed: " in shown
    deploy.activate(upgraded, D)
    assert upgraded.releases.current() == D
    assert upgraded.releases.record(D).by == "alice@laptop"
    upgraded.change(B, request=Request(Kind.ROLLBACK, "bob", requested_at=now()).to_json())
    deploy.activate(upgraded, B)
    assert upgraded.releases.current() == B
    assert upgraded.releases.record(B).state is ReleaseState.LIVE


def test_a_release_of_the_old_engine_is_unchanged_for_the_new_one(upgraded: FakeHost) -> None:
    old = document("manifest")
    upgraded.change(
        B, identity=ship.release_identity(Manifest.parse(json.dumps(old)), upgraded.units, upgraded.secrets_hash)
    )
    scripts = upgraded.releases.path(B) / ".slipway"
    for script in scripts.iterdir():
        script.unlink()
    manifest = Manifest.parse(json.dumps(old))
    manifest = replace(manifest, image=replace(manifest.image, commit=upgraded.releases.record(B).commit))
    for name, text_ in start_scripts(B, manifest).items():
        (scripts / name).parent.mkdir(exist_ok=True)
        (scripts / name).write_text(text_)
    assert ship.begin(upgraded, "20261105T100000-eeeeeee", Manifest.parse(json.dumps(old)))["unchanged"]


def test_a_killed_old_engine_is_mended(upgraded: FakeHost) -> None:
    request = document("record-failed")["request"] | {"state": "running"}
    upgraded.change(C, state="activating", phase="canary", request=request, cause=None)
    deploy.activate(upgraded, D)
    mended = upgraded.releases.record(C)
    assert (mended.state, mended.activation) == (ReleaseState.FAILED, ActivationState.FAILED)
    assert mended.cause == "canary: the engine was killed; its phases were undone"


@pytest.mark.parametrize(
    ("name", "value"), [("state", "melted"), ("request", {"state": "melted"}), ("request", {"kind": "melt"})]
)
def test_a_state_that_is_none_is_damage(upgraded: FakeHost, name: str, value: object) -> None:
    file = upgraded.releases.folder / f"{C}.json"
    file.write_text(json.dumps(document("record-failed") | {name: value}))
    assert upgraded.releases.known(C).cause == "its record is missing or damaged"
    assert status(upgraded)["state"] == "healthy"
