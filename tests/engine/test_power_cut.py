"""A power cut at any moment: what is on the disk then serves, and agrees with what had been told before.

`tests/engine/power.py` is the disk. A run is cut before and after each sync and each call of systemd: with nothing that
was not synced, with all of it, and with a part at random.
"""

import json
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from slipway.engine import audit, deploy, durable, seal, ship, status
from slipway.engine.recover import recover
from slipway.engine.releases import Releases
from slipway.model.errors import SlipwayError
from slipway.model.record import Request
from slipway.model.states import Kind
from tests.engine.fakes import Behaviour, FakeFront, FakeHost, FakeSystemd
from tests.engine.manifests import manifest
from tests.engine.names import A, B, C
from tests.engine.power import Disk, Ext4, Tree, mounted_ext4, write

FILES = {"bin/sh": "sh", "lib/big.so": "library", "app/code.py": ""}
"""Of each release; its code has its name."""
PROCFILE = {"release": "migrate", "worker": "exec worker", "beat": "exec beat"}
RANDOM_CUTS = 1
PHASES = {phase.name for phase in (*deploy.UNDOABLE, *deploy.TIDYING)}
"""At each moment, beside the two ends."""


@dataclass
class Cut:
    """A power cut, and what had been told before."""

    tree: Tree
    told: str | None
    """The release that was live, if its record told so, too."""
    sealed: frozenset[str]
    """Releases that `ship-end` had reported as complete."""
    where: str


@dataclass
class Run:
    """A host, its disk, and the cuts of what is done on it."""

    host: FakeHost
    disk: Disk
    sealed: set[str] = field(default_factory=set)
    cuts: list[Cut] = field(default_factory=list)
    phases: set[str | None] = field(default_factory=set)
    """In which the power was cut."""
    chance: random.Random = field(default_factory=lambda: random.Random(18))

    def look(self, where: str) -> None:
        """Cut the power here."""
        releases = self.host.releases
        current = releases.current()
        self.phases |= {record.phase for record in releases.all()}
        activation = releases.known(current).activation if current else None
        told = current if activation and activation.value in {"live", "done"} else None
        choices = [lambda: False, lambda: True, *[lambda: self.chance.random() < 0.5] * RANDOM_CUTS]
        for survives in choices[:1] if isinstance(self.disk, Ext4) else choices:
            self.cuts.append(Cut(self.disk.cut(survives), told, frozenset(self.sealed), where))

    def ship(self, release: str, seals: bool = True) -> None:
        """Ship a release; `seals` False: all but its end."""
        ship.begin(self.host, release, manifest(image=f"sha256:{release[:8]:0>64}", procfile=PROCFILE))
        root = self.host.releases.partial(release)
        for name, text in FILES.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text or release)
            self.look(f"files of {release} arrive")
        if seals:
            ship.end(self.host, release)
            self.sealed.add(release)
            self.look(f"{release} is shipped")

    def activate(self, release: str, kind: Kind = Kind.DEPLOY, hold: float = 0) -> None:
        record = self.host.releases.record(release)
        record.request = Request(kind, "alice", id=f"request-{release}-{kind}", hold=hold)
        self.host.releases.save(record)
        with suppress(SlipwayError):
            deploy.activate(self.host, release)
        self.look(f"{release} is activated")


@pytest.fixture
def run(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """B is live and was before it A; the power is stable until now."""
    yield from stable(Run(host, Disk(host.releases.root)), monkeypatch)


@pytest.fixture
def ext4(folder: Path) -> Iterator[Path]:
    """A real file system where the host's releases will be."""
    with mounted_ext4(folder / "srv") as image:
        yield image


@pytest.fixture
def ext4_run(ext4: Path, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """The same on a real file system."""
    yield from stable(Run(host, Ext4(host.releases.root, image=ext4)), monkeypatch)


def stable(run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Let A and B be live, one after the other, and watch the syncs from then on."""
    host, disk = run.host, run.disk
    monkeypatch.setattr(os, "fsync", disk.fsync)
    for module in (durable, seal):
        monkeypatch.setattr(module, "sync_file_systems", disk.sync_file_systems)
    host.site = replace(host.site, keep=2)
    for release in (A, B):
        run.ship(release)
        run.activate(release)
    disk.sync_all()
    run.cuts.clear()
    disk.before_sync = lambda: run.look(caller())
    host.systemd.before_call = run.look
    yield run
    host.systemd.before_call = lambda _call: None


def caller() -> str:
    """The function of the engine that syncs."""
    frame = sys._getframe()
    found = []
    while frame := frame.f_back:  # type: ignore[assignment]
        module = frame.f_globals.get("__name__", "")
        if module.startswith("slipway."):
            found.append(f"{module.rpartition('.')[2]}.{frame.f_code.co_name}")
    return " < ".join(found[:6])


def faults(run: Run, folder: Path, least: int = 10) -> Counter[str]:
    """What does not agree after the cuts, by what is wrong and where the power was cut."""
    run.host.systemd.close()
    run.disk.before_sync = lambda: None  # the power is stable from here on
    found: Counter[str] = Counter()
    seen = set()
    for number, cut in enumerate(run.cuts):
        key = (json.dumps(cut.tree, default=repr, sort_keys=True), cut.told, cut.sealed)
        if key in seen:
            continue
        seen.add(key)
        for fault in after(cut, run.host, folder / str(number)):
            found[f"{fault} (cut in {cut.where})"] += 1
    assert len(seen) >= least, "the power was hardly cut"
    return found


def after(cut: Cut, before: FakeHost, folder: Path) -> list[str]:
    """Boot from what a cut left. Returns what does not agree."""
    releases = Releases(root=folder / "srv", sockets=before.releases.sockets)  # the slices' links name it
    releases.root.mkdir(parents=True)
    write(cut.tree, releases.root)
    systemd = FakeSystemd(releases)
    host = FakeHost(
        **{
            name: getattr(before, name)
            for name in ("site", "units", "secrets_hash", "access_log", "owner", "name", "disks")
        },
        releases=releases,
        systemd=systemd,
        front=FakeFront(releases),
        drift_report=before.drift_report,
    )
    try:
        recover(host, boot=True)
        return list(_faults(host, cut))
    except SlipwayError as error:
        return [f"no recovery: {error}"]
    finally:
        systemd.close()


def _faults(host: FakeHost, cut: Cut) -> Iterator[str]:
    values = status.status(host)
    live, releases = values["live"], host.releases
    if values["state"] != "healthy":
        yield f"the status is {values['state']}: {values['problem']}"
    if cut.told and live != cut.told:
        yield "the live release is not the one that the deploy reported"
    for release in {each.release for each in releases.all()} | {live} | cut.sealed - _pruned(cut):
        found = {name: _read(releases.path(release) / name) for name in FILES}
        if found != {name: text or release for name, text in FILES.items()}:
            yield "a release has not the files that were shipped"
        if not _read(releases.path(release) / ".slipway/web"):
            yield "a release has no start script"
    for record in releases.all():
        if record.phase:
            yield "a record is not closed"
        if "damaged" in (record.cause or "") and record.release != A:  # which a deploy removes
            yield "a record is lost"
    if live and releases.known(live).healthy is False:
        yield "the live release's record does not know that it was healthy"
    if live == C and releases.rollback_target() != B:
        yield "no rollback leads back"
    entries = audit.last(host, 100)
    if live and (not entries or entries[-1]["live"] != live):
        yield "the audit ends with another release than the live one"
    ended = Counter((entry["id"], entry["release"]) for entry in entries if entry.get("release"))
    if any(count > 1 for count in ended.values()):
        yield "the audit tells an end twice"


def _pruned(cut: Cut) -> frozenset[str]:
    """Releases whose removal may have begun."""
    return cut.sealed - {B, C}


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def a_deploy(run: Run) -> None:
    run.ship(C)
    run.host.takes_every_phase(C)
    run.activate(C, hold=5)
    assert run.host.releases.current() == C
    assert not run.host.releases.path(A).exists(), "it prunes"
    assert run.phases >= PHASES, "the power is cut in each phase"


def a_deploy_that_fails(run: Run) -> None:
    run.ship(C)
    run.host.systemd.behaviours[C] = Behaviour(broken_when_live=True)
    run.activate(C)
    assert run.host.releases.current() == B


def a_rollback(run: Run) -> None:
    run.activate(A, Kind.ROLLBACK)
    assert run.host.releases.current() == A


def a_release_of_an_engine_that_did_not_sync(run: Run) -> None:
    skips, run.disk.skips = run.disk.skips, lambda: True
    run.ship(C)
    run.disk.skips = skips
    run.sealed.discard(C)
    run.cuts.clear()
    run.activate(C)


RUNS = [a_deploy, a_deploy_that_fails, a_rollback]


@pytest.mark.parametrize("what", RUNS)
def test_after_a_cut_all_agree(run: Run, folder: Path, what: Callable[[Run], None]) -> None:
    what(run)
    assert not faults(run, folder)


def test_what_an_earlier_engine_did_not_sync_is_on_the_disk_before_it_is_live(run: Run, folder: Path) -> None:
    a_release_of_an_engine_that_did_not_sync(run)
    # Until then its files may be lost: it is not live, and nobody was told.
    run.cuts = [cut for cut in run.cuts if cut.told == C]
    assert not faults(run, folder)


def test_after_a_cut_all_agree_on_a_real_file_system(ext4_run: Run, folder: Path) -> None:
    a_deploy(ext4_run)
    assert not faults(ext4_run, folder)


def test_without_syncs_a_real_file_system_loses_what_was_told(ext4_run: Run, folder: Path) -> None:
    ext4_run.disk.skips = lambda: True
    a_deploy(ext4_run)
    assert faults(ext4_run, folder, least=1)


NEEDED = {
    "seal._made": a_deploy,
    "releases.set_current": a_deploy,
    "releases.save": a_deploy,
    "audit.write": a_deploy,
    "seal.remove": a_deploy,
    "releases.sync": a_release_of_an_engine_that_did_not_sync,
}


@pytest.mark.parametrize("where", NEEDED)
def test_each_sync_is_missed(run: Run, folder: Path, where: str) -> None:
    run.disk.skips = lambda: where in caller()
    NEEDED[where](run)
    assert faults(run, folder)


@pytest.mark.parametrize("torn", ['{"at": "2026-11-28T1', "\0\0\0\0"])
def test_an_entry_that_a_cut_tore_takes_no_other_with_it(host: FakeHost, torn: str) -> None:
    audit.write(host, "run", command=["one"])
    with (host.releases.root / audit.FILE).open("a") as file:
        file.write(torn)
    audit.write(host, "run", command=["two"])
    audit.write(host, "run", command=["three"])
    assert [entry["command"] for entry in audit.last(host)] == [["one"], ["two"], ["three"]]
