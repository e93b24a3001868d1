"""What is counted of the log."""

import json
import math
import resource
import time
import tracemalloc
from itertools import islice
from typing import Any

import pytest

from labs.percentile import percentile
from slipway.report.routing import Routing
from slipway.report.samples import Bin, Samples
from slipway.report.tally import Tally, rounded
from slipway.report.traffic import MAX_ROUTES, OTHER, Traffic
from tests.report.conftest import BEGIN, HOSTILE, NEW, OLD, logged

CHANGES = [Routing(-math.inf, OLD, OLD), Routing(BEGIN + 20, OLD, NEW), Routing(BEGIN + 40, NEW, NEW)]


def counted(*lines: bytes) -> dict[str, Any]:
    traffic = Traffic(Samples(BEGIN, 10, [Bin() for _ in range(6)]), CHANGES)
    traffic.read(lines)
    return traffic.to_json()


def test_each_request_is_in_the_bin_in_which_it_came() -> None:
    found = counted(logged(9.9, seconds=5), logged(11, status=502), logged(12, status=404), logged(-1), logged(60))
    assert [(each["answered"], each["failed"]) for each in found["bins"]] == [
        (1, 0),
        (1, 1),
        (0, 0),
        (0, 0),
        (0, 0),
        (0, 0),
    ]
    assert (found["total"]["requests"], found["total"]["failed"], found["total"]["refused"]) == (3, 1, 1)
    assert found["bins"][1]["errors"] == ["1 x GET /: 502"]


def test_requests_count_for_the_release_that_their_slice_led_to() -> None:
    lines = [logged(at, slice=part) for at in (10, 30, 50) for part in ("live", "canary")]
    found = counted(*lines, logged(30, slice=""))
    assert {(each["release"], each["slice"]): each["requests"] for each in found["releases"]} == {
        (OLD, "live"): 2,
        (OLD, "canary"): 1,
        (NEW, "canary"): 2,
        (NEW, "live"): 1,
    }
    assert found["bins"][3]["shares"] == {OLD: 0.5, NEW: 0.5}


def test_nginx_itself_and_what_is_not_found_are_no_routes() -> None:
    lines = [logged(uri=f"/.env{index}", status=404) for index in range(9)] + [logged(uri="/x", slice="", status=301)]
    found = counted(*lines, logged(uri="/users/7"), logged(uri="/users/8"), logged(uri="/tom", route="/{name}"))
    assert {each["route"]: each["requests"] for each in found["routes"]} == {
        "not found (404)": 9,
        "GET /users/{id}": 2,
        "GET /{name}": 1,
        "nginx itself: 301": 1,
    }


def test_a_stream_took_as_long_as_its_first_bytes_and_a_lost_client_its_whole_time() -> None:
    stream = logged(uri="/stream", seconds=30, upstream_header_seconds="0.02")
    again = logged(uri="/again", seconds=2, upstream_header_seconds="0.5, 0.25")
    lost = logged(uri="/lost", seconds=7, upstream_header_seconds="-", status=499)
    found = {each["path"]: each["milliseconds"] for each in counted(stream, again, lost)["slowest"]}
    assert found == {"/stream": 20, "/again": 750, "/lost": 7000}


def test_the_slowest_requests_come_first_without_query_and_address() -> None:
    lines = [
        logged(uri=f"/{index}?token=secret", seconds=index / 1000, remote_addr="203.0.113.7") for index in range(50)
    ]
    found = counted(*lines)["slowest"]
    assert [each["milliseconds"] for each in found] == list(range(49, 29, -1))
    assert not {"secret", "203.0.113.7"} & set(json.dumps(found).split('"'))
    assert "secret" not in json.dumps(found)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[]",
        b"{}",
        b"null",
        b'{"time":"x"}',
        logged().replace(b'"seconds": 0.01', b'"seconds": []'),
        logged(status=None),
        logged()[:-30],
    ],
)
def test_a_damaged_line_is_counted_as_such(line: bytes) -> None:
    found = counted(logged(), line, logged())
    assert (found["total"]["requests"], found["damaged_lines"]) in {(2, 1), (3, 0)}


def test_percentiles_are_of_the_nearest_rank_and_three_percent_too_low_at_most() -> None:
    times = [1, 2, 3, 63, 64, 65, 100, 1000, 1001, 30_000]
    tally = Tally()
    for taken in times:
        tally.add(200, rounded(taken))
    for percent in (1, 50, 95, 100):
        exact = percentile(times, percent)
        (found,) = tally.percentiles(percent)
        assert found is not None
        assert exact * 0.97 <= found <= exact
    assert Tally().percentiles(50, 99) == [None, None]


def test_hostile_values_are_only_text() -> None:
    found = counted(logged(uri=f"/{HOSTILE}", method=HOSTILE[:20], user_agent=HOSTILE, request_id=HOSTILE, status=500))
    assert found["slowest"][0]["user_agent"] == HOSTILE


def test_memory_is_bounded_whatever_is_requested() -> None:
    lines = (
        logged(index % 60, uri=f"/{chr(97 + index % 26)}/{index:x}z/{'y' * (index % 30)}") for index in range(10**9)
    )
    traffic = Traffic(Samples(BEGIN, 10, [Bin() for _ in range(6)]), CHANGES)
    traffic.read(islice(lines, 30_000))
    tracemalloc.start()
    traffic.read(islice(lines, 15_000))
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 3_000_000
    found = traffic.to_json()
    assert len(found["routes"]) <= 41 < MAX_ROUTES
    assert found["routes"][-1]["route"] == OTHER
    assert found["total"]["requests"] == 45_000 == sum(each["requests"] for each in found["routes"])


@pytest.mark.slow
def test_a_million_lines_take_less_than_a_minute_and_200_mb() -> None:
    """12 s of computing and 26 MB on a busy machine with two cores."""
    lines = (
        logged(index % 60, uri=f"/users/{index}", status=500 if index % 999 == 0 else 200) for index in range(1_000)
    )
    batch, began = list(lines), time.process_time()
    traffic = Traffic(Samples(BEGIN, 10, [Bin() for _ in range(6)]), CHANGES)
    for _ in range(1000):
        traffic.read(batch)
    assert traffic.to_json()["total"]["requests"] == 1_000_000
    assert time.process_time() - began < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 200 << 10
