"""A backup before the migrations: without one there are none."""

from dataclasses import replace

import pytest

from slipway.backup import report
from slipway.engine import deploy
from slipway.engine.errors import PhaseError, SystemdError
from slipway.engine.releases import now
from slipway.engine.status import status, text
from tests.engine.fakes import FakeHost
from tests.engine.names import A


@pytest.fixture
def backed_up(host: FakeHost) -> FakeHost:
    host.site = replace(host.site, backup=True)
    host.backups.mkdir()
    return host


def test_it_is_made_before_the_migrations(backed_up: FakeHost) -> None:
    backed_up.ship(A)
    backed_up.has_migrations(A)
    deploy.activate(backed_up, A)
    assert backed_up.systemd.calls[:2] == [f"start backup@{A}.service", f"start migrate@{A}.service"]


@pytest.mark.parametrize("request_", [{"kind": "rollback"}, {"backup": False}, {"migrate": False}])
def test_it_is_not_made_where_nothing_migrates_or_nobody_wants_it(
    backed_up: FakeHost, request_: dict[str, str]
) -> None:
    backed_up.ship(A, request=request_)
    backed_up.has_migrations(A)
    deploy.activate(backed_up, A)
    assert not [call for call in backed_up.systemd.calls if "backup" in call]


def test_a_host_without_backups_migrates_as_before(host: FakeHost) -> None:
    host.ship(A)
    host.has_migrations(A)
    deploy.activate(host, A)
    assert not [call for call in host.systemd.calls if "backup" in call]
    assert status(host)["backup"] is None


def test_a_backup_that_fails_ends_the_deploy_before_a_migration_runs(
    backed_up: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = backed_up.systemd.start

    def fail(*units: str, wait: bool = True, timeout: float = 120) -> None:
        if units[0].startswith("backup@"):
            values = {"state": "failed", "at": now(), "kind": A, "cause": "/srv/backup: it is full"}
            report.write(report.BACKUP, values, backed_up.backups)
            raise SystemdError("Job failed")
        start(*units, wait=wait, timeout=timeout)

    monkeypatch.setattr(backed_up.systemd, "start", fail)
    backed_up.ship(A)
    backed_up.has_migrations(A)
    with pytest.raises(PhaseError, match=r"it is full\nTo deploy without one: -e release_backup=false"):
        deploy.activate(backed_up, A)
    assert not [call for call in backed_up.systemd.calls if "start migrate" in call]
    shown = text(status(backed_up))
    assert "/srv/backup: it is full; last success: none" in shown
