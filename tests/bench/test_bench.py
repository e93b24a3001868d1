"""What the bench makes of what it was told. That it measures at all, `make bench` shows."""

import asyncio
import sys

import pytest

from bench import __main__ as command
from bench import asker, report
from bench.load import parse
from bench.queueing import percentile
from bench.scaling import knee

WRK = """Running 2s test @ http://localhost/version
  2 threads and 32 connections
  Latency Distribution
     50%    3.20ms
     99%   {p99}
  18860 requests in 2.00s, 4.17MB read
Requests/sec:   9430.11
"""


@pytest.mark.parametrize(
    ("said", "ms"), [("980.00us", 0.98), ("10.60ms", 10.6), ("1.20s", 1200.0), ("1.50m", 90_000.0)]
)
def test_what_wrk_says_in_its_own_units(said: str, ms: float) -> None:
    count, rate, p99 = parse(WRK.format(p99=said))
    assert (count, rate) == (18860, 9430.11)
    assert p99 == pytest.approx(ms)


@pytest.mark.parametrize(
    "said",
    [
        WRK.format(p99="1.00ms") + "  Non-2xx or 3xx responses: 1\n",
        WRK.format(p99="1.00ms") + "  Socket errors: connect 0, read 3, write 0, timeout 0\n",
        WRK.format(p99="0.00us").replace("18860", "0"),
        "unable to connect to localhost:80 Connection refused\n",
    ],
)
def test_a_load_that_was_not_answered_well_is_no_figure(said: str) -> None:
    with pytest.raises(ValueError, match=r"requests in|unable"):
        parse(said)


@pytest.mark.parametrize(
    ("rates", "fewest"),
    [
        ([100, 198, 200, 199, 195, 190], 2),  # computing on two cores
        ([100, 150, 180, 200, 201, 202], 4),
        ([200, 199, 201, 200, 200, 200], 1),  # waiting with await
        ([100, 200, 300, 400, 600, 800], 8),
    ],
)
def test_the_knee_is_the_fewest_workers_that_do_nearly_as_much_as_any(rates: list[float], fewest: int) -> None:
    assert knee([1, 2, 3, 4, 6, 8], rates) == fewest


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(value) for value in range(200, 0, -1)]
    assert percentile(values, 50) == 100
    assert percentile(values, 99) == 198
    assert percentile([7.0], 99) == 7


def test_a_server_that_stands_still_is_asked_as_often_and_every_wait_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    async def follow() -> list[float]:
        stands, over = asyncio.Event(), asyncio.Event()

        async def expect(*_: object) -> bytes:
            await stands.wait()
            return b""

        monkeypatch.setattr(asker, "expect", expect)
        following = asyncio.create_task(asker.follow(["aaaaaaaa"], over))
        await asyncio.sleep(1)
        over.set()
        stands.set()
        return await following

    taken = sorted(asyncio.run(follow()))
    assert len(taken) == pytest.approx(asker.RATE, rel=0.15)
    # Due at an even pace for a second, answered together at its end.
    assert taken[len(taken) // 2] == pytest.approx(500, rel=0.2)
    assert taken[-1] == pytest.approx(1000, rel=0.2)


SCALING = {
    "others": 0.04,
    "workers": [1, 2],
    "routes": {"compute": {"rate": [80.0, 160.0], "p99_ms": [200.0, 101.4], "cores": [1.0, 1.96], "knee": 2}},
    "memory_mb": [90.2, 120.4],
}
QUEUE = {"others": 0.7, "ways": {"queue": {"p50_ms": 3.0, "p99_ms": 21.25, "requests": 900, "seconds": 0.41}}}


def test_the_table_has_the_parts_that_were_measured_and_no_others() -> None:
    table = report.table({"scaling": SCALING, "queue": QUEUE})
    lines = [" ".join(line.split()) for line in table.splitlines()]
    assert "compute, 2 workers: requests/s; p99; CPUs busy 160; 101 ms; 1.96" in lines
    assert "21.2 ms" in table
    assert "120 MB" in table
    assert "site.yml" not in table
    assert report.table({"queue": QUEUE}).count("\n") == 1


def test_figures_of_a_machine_that_did_something_else_say_so() -> None:
    assert "NOT REACHED" in report.table({"queue": QUEUE})
    assert "NOT REACHED" not in report.table({"scaling": SCALING})


def test_a_part_that_does_not_exist_is_refused_with_those_that_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--only", "everything"])
    with pytest.raises(SystemExit):
        command.main()
    said = capsys.readouterr().err
    assert "everything" in said
    assert "scaling" in said
