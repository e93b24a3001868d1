"""What is wrong, by what `slipway status` and the system say: each kind once."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from slipway.alerts.alert import Alert
from slipway.alerts.app import AppFacts, of_app
from slipway.alerts.checks import of_backups, of_system
from slipway.alerts.facts import Facts, failed_units, memory_percent
from slipway.engine import deploy, room
from slipway.engine.crashes import Crashes
from slipway.engine.status import status
from tests.engine.conftest import folder, host  # noqa: F401
from tests.engine.fakes import Behaviour, FakeHost
from tests.engine.names import A, B

WELL: dict[str, Any] = {
    "live": A,
    "state": "healthy",
    "problem": None,
    "processes": {"worker.1": "active"},
    "certificates": [],
    "drift": {"state": "clean", "added": [], "changed": [], "removed": [], "looked_at": "now"},
}
CERTIFICATE = {"name": "a.example", "expires": "soon", "failures": 0, "failing_since": None, "next_attempt": None}
FAILED = {"what": "deploy", "release": A, "by": "alice", "ended": "failed", "cause": "it crashed", "at": "1"}
DONE = FAILED | {"ended": "done"}


def keys(alerts: Iterable[Alert]) -> list[str]:
    return [each.key for each in alerts]


def test_a_host_that_is_well() -> None:
    assert [*of_app(WELL, AppFacts()), *of_system(Facts()), *of_backups(None)] == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"problem": "GET /readyz through nginx: 502", "state": "unhealthy"}, ["site"]),
        ({"problem": "GET /readyz", "live": None, "state": "empty"}, []),
        ({"processes": {"worker.1": "failed", "beat.1": "active", "a.1": "deactivating"}}, ["site:worker.1"]),
        ({"state": "interrupted"}, ["site:interrupted"]),
        ({"state": "deploying"}, []),
        *(
            ({"certificates": [CERTIFICATE | {"state": state, "reason": "DNS"}]}, ["certificate:a.example"])
            for state in ("expired", "expiring", "failing")
        ),
        ({"certificates": [CERTIFICATE | {"state": "valid", "reason": None}]}, []),
        ({"certificates": [CERTIFICATE | {"state": "none", "reason": None}]}, []),
        (
            {"certificates": [CERTIFICATE | {"state": "none", "reason": "DNS", "failures": 2}]},
            ["certificate:a.example"],
        ),
        ({"drift": WELL["drift"] | {"state": "differs", "changed": ["/etc/nginx/nginx.conf"]}}, ["drift"]),
    ],
)
def test_what_status_knows(values: dict[str, Any], expected: list[str]) -> None:
    assert keys(of_app(WELL | values, AppFacts())) == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (AppFacts(history=[FAILED]), ["deploy"]),
        (AppFacts(history=[FAILED, {"what": "run", "ended": "done"}]), ["deploy"]),
        (AppFacts(history=[FAILED, DONE]), []),
        (AppFacts(history=[DONE, FAILED | {"what": "rollback", "ended": "killed"}]), ["deploy"]),
        (AppFacts(history=[{"what": "maintenance"}]), []),
        (AppFacts(silent_hosts={"www2": "10.0.0.2: no answer within 5 s"}), ["host:www2"]),
    ],
)
def test_what_an_app_host_knows_besides(facts: AppFacts, expected: list[str]) -> None:
    assert keys(of_app(WELL, facts)) == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (Facts(failed_units=["backup.service", "x.timer"]), ["unit:backup.service", "unit:x.timer"]),
        (Facts(crashes={"a.service": Crashes(restarts=2)}), []),
        (Facts(crashes={"a.service": Crashes(restarts=3)}), ["restarts:a.service"]),
        (Facts(crashes={"a.service": Crashes(kills=1)}), ["oom:a.service"]),
        (Facts(low_disks={"/var": "1 MiB"}), ["disk:/var"]),
        (Facts(memory_percent=25), ["memory"]),
        (Facts(memory_percent=5), []),
        (Facts(reboot=""), ["reboot"]),
        (Facts(clock_synchronised=False), ["clock"]),
    ],
)
def test_what_the_system_says(facts: Facts, expected: list[str]) -> None:
    assert keys(of_system(facts)) == expected


GOOD: dict[str, Any] = {"state": "ok", "at": "now", "kind": "nightly", "snapshot": "1a", "tables": 1, "rows": 1}
GOOD |= {"snapshot_at": "now", "base": "1a"}


@pytest.mark.parametrize(
    ("backup", "title"),
    [
        (GOOD, ""),
        ({"state": "never", "last": None}, ""),
        ({"state": "empty", "at": "now", "last": None}, ""),
        ({"state": "running", "at": "now", "last": None}, ""),
        ({"state": "running", "failing": True, "at": "now", "last": None}, "the backup failed"),
        ({"state": "failed", "at": "now", "cause": "the disk is full", "last": None}, "the backup failed"),
        ({"state": "interrupted", "at": "now", "last": None}, "the backup was interrupted"),
        (GOOD | {"state": "old", "last": GOOD}, "the backup is too old"),
        (GOOD | {"warning": "locked", "last": GOOD}, "the backup did not end well"),
    ],
)
def test_backups_are_told_by_their_record(backup: dict[str, Any], title: str) -> None:
    test = {"state": "never", "last": None}
    alerts = list(of_backups({"backup": backup, "restore_test": test}))
    assert [each.title for each in alerts] == [title] * bool(title)
    alerts = list(of_backups({"backup": test, "restore_test": backup}))
    assert [each.title for each in alerts] == [title.replace("backup", "restore test", 1)] * bool(title)
    assert all(each.next.endswith("/backup verify") for each in alerts)
    alerts = list(of_backups({"backup": test, "restore_test": test, "wal": backup}))
    assert [each.title for each in alerts] == [title.replace("backup", "archiving of WAL", 1)] * bool(title)


def test_each_says_what_to_type() -> None:
    values = {"problem": "502", "certificates": [CERTIFICATE | {"state": "expired", "reason": "DNS"}]}
    facts = Facts(["a.service"], {"b.service": Crashes(kills=1)}, {"/": "0"}, 90, "linux", False)
    alerts = [*of_app(WELL | values, AppFacts([FAILED])), *of_system(facts)]
    assert len(alerts) == 9
    assert all(each.next for each in alerts)


def test_a_real_deploy_that_fails_and_one_that_works(host: FakeHost) -> None:  # noqa: F811
    from slipway.engine import audit

    def now() -> list[str]:
        return keys(of_app(status(host), AppFacts(history=audit.last(host, 200))))

    with pytest.raises(Exception, match="crashed"):
        deploy.activate(host, host.ship(A, Behaviour(crashes=True)))
    assert now() == ["deploy"]
    deploy.activate(host, host.ship(B))
    assert now() == []


def test_failed_units_are_listed_without_what_another_alert_tells() -> None:
    names = [
        "a.service",
        "alerts.service",
        f"deploy@{A}.service",
        f"migrate@{A}.service",
        "backup@nightly.service",
        "restore-test.service",
        "b.timer",
        "my-deploy.service",
    ]
    listed = "".join(f"{name} loaded failed failed A\n" for name in names)
    assert failed_units(listed) == ["a.service", "b.timer", "my-deploy.service"]
    assert failed_units("") == []


@pytest.mark.parametrize(
    ("text", "percent"),
    [
        ("some avg10=9.00 avg60=9.00 avg300=9.00 total=1\nfull avg10=1.00 avg60=2.00 avg300=33.25 total=1\n", 33.25),
        ("some avg10=9.00 avg60=9.00 avg300=9.00 total=1\n", 0),
        ("", 0),
    ],
)
def test_memory_pressure(text: str, percent: float) -> None:
    assert memory_percent(text) == percent


def test_a_disk_is_told_once_and_before_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert room.low([tmp_path / "missing"]) == {}
    monkeypatch.setattr(room, "LOW_SHARE", 1.0)
    monkeypatch.setattr(room, "LOW_BYTES", 2**62)
    (tmp_path / "a").mkdir()
    assert list(room.low([tmp_path, tmp_path / "a"])) == [str(tmp_path)]
    assert room.FULL_BYTES < room.LOW_BYTES


def test_crashes_of_all_units_are_read_from_one_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    from slipway.engine.crashes import OUT_OF_MEMORY, RESTART
    from slipway.engine.systemd import Systemd

    stamp = {"__REALTIME_TIMESTAMP": str(int(time.time() * 1e6))}
    entries = [{"UNIT": "a.service", "MESSAGE_ID": RESTART} | stamp] * 3 + [
        {"UNIT": "b.service", "MESSAGE_ID": OUT_OF_MEMORY} | stamp
    ]
    monkeypatch.setattr(Systemd, "_after", lambda *_: (entries, ""))
    crashes = Systemd().all_crashes(0)
    assert crashes["a.service"].loop
    assert crashes["b.service"].kills == 1
