"""Memory and disks over a day, as sadf of Debian 12 and 13 prints them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from slipway.controller.page.report import page
from slipway.model.period import Period
from slipway.report import usage
from slipway.report.samples import Bin, Samples
from tests.report.conftest import BEGIN

TOTAL = 1000 << 10
STAMP = {"date": "2023-11-14", "tz": "UTC", "interval": 600}
"""Of BEGIN, 22:13:20."""


def sample(at: str, available: int, *disks: tuple[str, float], swap: float = 0.0) -> dict[str, Any]:
    memory = {"avail": available, "swpfree": 100 if swap else 0, "swpused": 1 if swap else 0, "swpused-percent": swap}
    filesystems = [{"mountpoint": name, "%fsused": 1.0, "%ufsused": used} for name, used in disks]
    return {"timestamp": STAMP | {"time": at}, "memory": memory, "filesystems": filesystems}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of sysstat, and a sadf that prints them."""
    program = tmp_path / "sadf"
    program.write_text('#!/bin/sh\ncat "$2"\n')
    program.chmod(0o755)
    monkeypatch.setattr(usage, "PROGRAM", str(program))
    (tmp_path / "sysstat").mkdir()
    return tmp_path / "sysstat"


def write(folder: Path, name: str, *entries: dict[str, Any]) -> None:
    (folder / name).write_text(json.dumps({"sysstat": {"hosts": [{"statistics": [*entries]}]}}))


def samples() -> Samples:
    return Samples(BEGIN, 600, [Bin() for _ in range(6)])


def test_the_most_of_each_bin(folder: Path) -> None:
    write(folder, "sa14", sample("22:15:00", 800, ("/", 40.0)), sample("22:20:00", 250, ("/", 41.26), swap=12.5))
    write(folder, "sa15", sample("22:45:00", 900))
    found = usage.read(samples(), TOTAL, folder)
    assert found["memory"] == [75.0, None, None, 10.0, None, None]
    assert found["swap"] == [12.5, None, None, None, None, None]
    assert found["disks"] == {"/": [41.3, None, None, None, None, None]}


def test_what_is_older_or_no_file_of_sysstat_is_left_out(folder: Path) -> None:
    write(folder, "sa14", sample("21:00:00", 100))
    (folder / "sa15").write_text("Invalid system activity file")
    write(folder, "sar14", sample("22:15:00", 100))
    write(folder, "sa07", sample("22:15:00", 100))
    os.utime(folder / "sa07", (BEGIN - 1, BEGIN - 1))
    assert usage.read(samples(), TOTAL, folder)["memory"] == [None] * 6
    assert usage.read(samples(), TOTAL, folder / "nowhere")["memory"] == [None] * 6


def test_the_page_draws_it(report: dict[str, Any]) -> None:
    lines = {"memory": [50.0] * 144, "swap": [None] * 144, "disks": {"/data": [9.5] * 144, "/": [80.0] * 144}}
    text = page("production", Period.DAY, {"web1": report | {"usage": lines}})
    assert "memory and disks in use, %" in text
    assert "disk /data" in text
    assert "swap</span>" not in text, "there is none"
    none = {"memory": [None] * 144, "swap": [None] * 144, "disks": {}}
    assert "memory and disks in use, %" not in page("production", Period.DAY, {"web1": report | {"usage": none}})
    assert "memory and disks in use, %" not in page("production", Period.DAY, {"web1": report}), "an engine before"
