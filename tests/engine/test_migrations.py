"""A rollback undoes no migration: it names those that it leaves, and the backup from before them."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from slipway.backup import report
from slipway.engine import audit, cli, deploy
from slipway.engine.errors import PhaseError
from slipway.engine.migrations import left_by_rollback
from slipway.engine.releases import now
from slipway.model.site import Site
from tests.engine.fakes import Behaviour, FakeHost
from tests.engine.names import A, B, C

Deploys = Callable[..., None]
FIRST, SECOND, THIRD = (f"migrations/versions/{name}.py" for name in ("0001_links", "0002_clicks", "0003_visits"))


@pytest.fixture
def deploys(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> Deploys:
    """Deploy a release with files of migrations; a backup is made before they run."""
    host.site = replace(host.site, backup=True)
    host.backups.mkdir()
    host.owner.write_text(json.dumps({"environment": "production"}))
    start = host.systemd.start

    def back_up(*units: str, **options: Any) -> None:
        if units[0].startswith("backup@"):
            kind = units[0][7:-8]
            made = {"state": "ok", "at": now(), "kind": kind, "snapshot": f"of-{kind[-1]}"}
            report.write(report.BACKUP, made, host.backups)
        start(*units, **options)

    monkeypatch.setattr(host.systemd, "start", back_up)

    def run(release: str, *files: str, behaviour: Behaviour | None = None, backup: bool = True) -> None:
        host.ship(release, behaviour, request={"by": "alice", "backup": backup})
        host.has_migrations(release)
        tree = host.releases.path(release)
        (tree / ".slipway/env").write_text("# Written by Slipway.\ncd /srv/shop || exit\n")
        for name in ("migrations/env.py", "migrations/versions/__init__.py", *files):
            (tree / "srv/shop" / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / "srv/shop" / name).touch()
        deploy.activate(host, release)

    return run


@pytest.mark.parametrize("damaged", ['{"what": "deploy", "release": 5, "phases": {"migrate": 1}}', "[]", '{"what": 1}'])
def test_a_damaged_audit_keeps_no_rollback(
    host: FakeHost, deploys: Deploys, monkeypatch: pytest.MonkeyPatch, damaged: str
) -> None:
    monkeypatch.setattr(Site, "load", lambda: host.site)
    monkeypatch.setattr(cli, "Host", lambda _site: host)
    deploys(A, FIRST)
    deploys(B, FIRST, SECOND)
    with (host.releases.root / audit.FILE).open("a") as file:
        file.write(f"{damaged}\n")
    (host.releases.path(B) / ".slipway/env").write_bytes(b"cd 'unfinished \xff\n")
    assert cli.main(["rollback", "--by", "alice", "--no-wait"]) == 0
    assert host.systemd.calls[-1] == f"start deploy@{A}.service"


def test_the_verb_names_them_and_what_to_type(
    host: FakeHost, deploys: Deploys, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Site, "load", lambda: host.site)
    monkeypatch.setattr(cli, "Host", lambda _site: host)
    deploys(A, FIRST)
    deploys(B, FIRST, SECOND)
    capsys.readouterr()
    assert cli.main(["rollback", "--no-wait"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == A, "what programs read has nothing else"
    assert printed.err.startswith(f"slipway: {A} does not know 1 of the migrations that ran since: {SECOND}. ")
    assert (
        f"slipway restore production --snapshot of-b --replace --no-migrate; slipway rollback production --to {A}\n"
    ) in printed.err


def test_a_deploy_without_a_new_one_leaves_none(host: FakeHost, deploys: Deploys) -> None:
    deploys(A, FIRST)
    deploys(B, FIRST)
    assert left_by_rollback(host, A) is None


def test_the_backup_is_that_before_the_first_new_one(host: FakeHost, deploys: Deploys) -> None:
    deploys(A, FIRST)
    deploys(B, FIRST, SECOND)
    deploys(C, FIRST, SECOND, THIRD)
    left = left_by_rollback(host, A)
    assert left
    assert f"2 of the migrations that ran since: {SECOND}, {THIRD}" in left
    assert "--snapshot of-b " in left
    left = left_by_rollback(host, B)
    assert left
    assert "--snapshot of-c " in left


def test_those_of_a_deploy_that_failed_stay_as_well(host: FakeHost, deploys: Deploys) -> None:
    deploys(A, FIRST)
    with pytest.raises(PhaseError):
        deploys(B, FIRST, SECOND, behaviour=Behaviour(crashes=True))
    deploys(C, FIRST, SECOND)
    left = left_by_rollback(host, A)
    assert left
    assert "--snapshot of-b " in left


def test_without_a_backup_it_says_so(host: FakeHost, deploys: Deploys) -> None:
    deploys(A, FIRST)
    deploys(B, FIRST, SECOND, backup=False)
    left = left_by_rollback(host, A)
    assert left
    assert "There is no backup from before them" in left
    assert "slipway restore" not in left


def test_files_that_are_nowhere_may_have_migrated(host: FakeHost, deploys: Deploys) -> None:
    deploys(A)
    (host.releases.path(A) / "srv/shop/migrations/env.py").unlink()
    deploys(B)
    left = left_by_rollback(host, A)
    assert left
    assert left.startswith(f"{A} does not know the migrations of {B}. ")


def test_a_release_without_migrations_leaves_none(host: FakeHost) -> None:
    for release in (A, B):
        deploy.activate(host, host.ship(release))
    assert left_by_rollback(host, A) is None


def test_a_release_that_was_deployed_again_knows_its_own(host: FakeHost, deploys: Deploys) -> None:
    deploys(A, FIRST)
    deploys(B, FIRST, SECOND)
    assert left_by_rollback(host, B) is None
