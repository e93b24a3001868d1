"""A fake host per test. Its folder has a short name, since a unix socket's path may have 107 characters."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from slipway.engine import cli, client, oneoff, phases, restart, room, traffic, watch, ways
from slipway.engine.releases import Releases
from slipway.model.site import Site
from tests.engine.fakes import FakeFront, FakeHost, FakeSystemd

USER = os.geteuid()
"""Who is `deploy` and `sealer` here."""
SITE = Site(
    ready_path="/readyz",
    version_path="/version",
    probe_host="localhost",
    front_url="http://127.0.0.1:80",
    request_timeout=cast("int", 0.3),  # whole seconds on a real host
    start_timeout=cast("int", 0.3),
    migrate_timeout=1,
    keep=5,
    watch_seconds=0,
    watch_errors=0.01,
    watch_slower=3.0,
)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for what happens, not for the clock."""
    monkeypatch.setattr(traffic, "DRAIN_SECONDS", 0.0)
    monkeypatch.setattr(traffic, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(oneoff, "POLL_SECONDS", 0.005)
    monkeypatch.setattr(phases, "POLL_SECONDS", 0.005)
    monkeypatch.setattr(client, "POLL_SECONDS", 0.005)
    monkeypatch.setattr(restart, "POLL_SECONDS", 0.005)
    monkeypatch.setattr(restart, "SETTLE_SECONDS", 0.02)
    monkeypatch.setattr(phases, "FRONT_TIMEOUT", 0.05)
    monkeypatch.setattr(room, "KEPT_BYTES", 4096)
    monkeypatch.setattr("os.fsync", lambda _file: None)
    monkeypatch.setattr(cli, "_number", lambda _name: USER)
    for module in (ways, phases):
        monkeypatch.setattr(module, "queue_length", lambda _path: 0)


@pytest.fixture
def folder() -> Iterator[Path]:
    memory = Path("/dev/shm")  # twice as fast as a disk
    made = Path(tempfile.mkdtemp(prefix="slw", dir=memory if memory.is_dir() else "/tmp"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def host(folder: Path) -> Iterator[FakeHost]:
    releases = Releases(root=folder / "srv", sockets=folder / "run")
    releases.folder.mkdir(parents=True)
    releases.sealed.mkdir()
    releases.sockets.mkdir()
    units = folder / "units"
    units.mkdir()
    (units / "app@.service").write_text("[Service]\n")
    (folder / "secrets.hash").write_text("abc\n")
    (folder / "access.log").touch()
    systemd = FakeSystemd(releases)
    yield FakeHost(
        SITE,
        releases,
        systemd=systemd,
        front=FakeFront(releases),
        units=units,
        secrets_hash=folder / "secrets.hash",
        access_log=folder / "access.log",
        runtime_units=systemd.runtime_units,
        owner=folder / "site.json",
        drift_report=folder / "drift.json",
        backups=folder / "backups",
        disks=(),
        name="test-host",
    )
    systemd.close()


@pytest.fixture
def command_line(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    """Let the command `slipway` work on the fake host, which is returned."""
    monkeypatch.setattr(Site, "load", lambda: SITE)
    monkeypatch.setattr(cli, "Host", lambda _config: host)
    return host
