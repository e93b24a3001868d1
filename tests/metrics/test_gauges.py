"""What the engine knows of a host, as node_exporter's textfile collector reads it."""

import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway.engine import deploy
from slipway.metrics.exposition import Gauge, Sample, text
from slipway.metrics.gauges import MAX_ACTIVATIONS, gauges
from slipway.metrics.run import write
from slipway.model.errors import SlipwayError
from tests.acme.conftest import make, presented  # noqa: F401
from tests.engine.conftest import folder, host  # noqa: F401
from tests.engine.fakes import FakeHost
from tests.engine.names import A, B

WELL: dict[str, Any] = {
    "version": "1",
    "live": A,
    "since": "2026-01-01T00:00:00+00:00",
    "commit": "c0ffee",
    "problem": None,
    "processes": {"worker.1": "active"},
    "maintenance": None,
    "certificates": [],
    "backup": None,
    "drift": {"state": "clean"},
}
DONE = {"what": "deploy", "release": A, "by": "alice", "ended": "done", "seconds": 3.5, "at": "2026-01-01T00:00:00Z"}
CERTIFICATE = {"name": "a.example", "state": "valid", "expires": "2026-01-01T00:00:00+00:00", "failures": 0}
BACKUP = {"state": "ok", "at": "2026-01-01T00:00:00+00:00", "kind": "nightly", "snapshot": "1", "rows": 1, "tables": 1}
MOMENT = 1767225600.0


def series(
    values: dict[str, Any] | None = None,
    history: list[dict[str, Any]] | None = None,
    validities: dict[str, tuple[float, float]] | None = None,
) -> dict[str, float]:
    lines = text(gauges(WELL | (values or {}), history or [], validities or {})).splitlines()
    return {name: float(value) for name, _, value in (each.rpartition(" ") for each in lines if each[0] != "#")}


def test_a_host_that_is_well() -> None:
    assert series() == {
        "slipway_site_up": 1,
        "slipway_maintenance": 0,
        "slipway_drift": 0,
        f'slipway_live_info{{release="{A}",commit="c0ffee",version="1"}}': 1,
        "slipway_live_since_timestamp_seconds": MOMENT,
    }


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"problem": "GET /readyz: 502"}, {"slipway_site_up": 0}),
        ({"processes": {"worker.1": "failed"}}, {"slipway_site_up": 0}),
        ({"live": None, "since": None}, {"slipway_site_up": 0}),
        ({"maintenance": {"by": "alice"}}, {"slipway_maintenance": 1}),
        ({"drift": {"state": "differs"}}, {"slipway_drift": 1}),
        (
            {"certificates": [CERTIFICATE]},
            {
                'slipway_certificate_expiry_timestamp_seconds{name="a.example"}': MOMENT,
                'slipway_certificate_problem{name="a.example"}': 0,
            },
        ),
        ({"certificates": [CERTIFICATE | {"state": "failing"}]}, {'slipway_certificate_problem{name="a.example"}': 1}),
        (
            {"certificates": [CERTIFICATE | {"state": "none", "expires": None, "failures": 2}]},
            {'slipway_certificate_problem{name="a.example"}': 1},
        ),
        (
            {"backup": {"backup": BACKUP | {"last": BACKUP}, "restore_test": {"state": "never", "last": None}}},
            {
                'slipway_backup_problem{what="backup"}': 0,
                'slipway_backup_problem{what="restore_test"}': 0,
                'slipway_backup_last_success_timestamp_seconds{what="backup"}': MOMENT,
            },
        ),
        (
            {"backup": {"backup": BACKUP | {"state": "failed", "last": BACKUP}, "restore_test": {"state": "never"}}},
            {'slipway_backup_problem{what="backup"}': 1},
        ),
    ],
)
def test_what_status_knows(values: dict[str, Any], expected: dict[str, float]) -> None:
    found = series(values)
    assert {name: found.get(name) for name in expected} == expected


def test_each_activation_has_its_moment_and_the_last_one_its_end() -> None:
    failed = DONE | {"release": B, "ended": "failed", "seconds": None, "at": "2026-01-01T00:01:00Z"}
    found = series(history=[DONE, {"what": "run", "ended": 1}, failed])
    moment = 'slipway_activation_timestamp_seconds{{what="deploy",release="{}",ended="{}",by="alice"}}'
    assert found[moment.format(A, "done")] == MOMENT
    assert found[moment.format(B, "failed")] == MOMENT + 60
    assert [value for name, value in found.items() if "duration" in name] == [3.5]
    assert found["slipway_last_activation_failed"] == 1
    assert series(history=[failed, DONE])["slipway_last_activation_failed"] == 0


def test_there_are_few_series_and_each_once() -> None:
    """node_exporter refuses the whole file for a series that is there twice."""
    again = [DONE | {"at": f"2026-01-01T00:00:{second:02}Z"} for second in range(30)]
    assert series(history=again)[
        f'slipway_activation_timestamp_seconds{{what="deploy",release="{A}",ended="done",by="alice"}}'
    ] == (MOMENT + 29)
    others = [each | {"release": str(number)} for number, each in enumerate(again)]
    assert sum("activation_timestamp" in name for name in series(history=others)) == MAX_ACTIVATIONS


@pytest.mark.parametrize(
    ("days", "expected"),
    [((0, 90), 0), ((-80, 90), 1), ((-1, 6), 0), ((-5, 6), 1)],
)
def test_a_certificate_that_nobody_renews_is_told_in_time(
    days: tuple[int, int], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: MOMENT)
    begin = MOMENT + days[0] * 86400
    found = series(validities={"a": (begin, begin + days[1] * 86400)})
    assert found['slipway_certificate_problem{name="a"}'] == expected
    assert series(validities={"a": (0, 0)})['slipway_certificate_problem{name="a"}'] == 1


def test_labels_are_escaped() -> None:
    assert text([Gauge("a", "b", [Sample(1, {"by": 'x"\\\n'})])]).splitlines()[2] == r'a{by="x\"\\\n"} 1'


def test_the_file_is_replaced_whole_for_every_reader(host: FakeHost, tmp_path: Path) -> None:  # noqa: F811
    deploy.activate(host, host.ship(A))
    file = tmp_path / "slipway.prom"
    file.write_text("old")
    with file.open() as reader:
        write(host, file, 0)
        assert reader.read() == "old"
    assert re.search(rf'^slipway_live_info{{release="{A}",.*}} 1$', file.read_text(), re.MULTILINE)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [each.name for each in tmp_path.glob("*.prom")] == [file.name]


def test_what_cannot_be_read_leaves_the_old_file(host: FakeHost, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "slipway.prom"
    file.write_text("old")
    host.owner.write_text("no JSON")
    with pytest.raises(SlipwayError):
        write(host, file, 0)
    assert file.read_text() == "old"


@pytest.mark.parametrize("age", [0, 91])
def test_a_certificate_is_read_from_nginx(
    host: FakeHost,  # noqa: F811
    make: Callable[..., str],  # noqa: F811
    tmp_path: Path,
    age: int,
) -> None:
    with presented(make("www.example.com", days=90, age=age), tmp_path) as port:
        write(host, tmp_path / "slipway.prom", port)
    ends = re.search(
        r"^slipway_certificate_expiry_timestamp_seconds{.*} (.*)$", (tmp_path / "slipway.prom").read_text(), re.M
    )
    assert ends
    assert (float(ends[1]) == 0) == (age > 90)
