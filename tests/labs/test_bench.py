"""How the bench reads and reports its measurements; `make bench ARGS=--smoke` takes them."""

import argparse
from types import SimpleNamespace
from typing import Any

import pytest

from labs.bench import __main__ as bench
from labs.bench import queueing, table, wrk
from labs.bench.scaling import knee
from labs.bench.wrk import parse
from labs.command import LabError
from labs.percentile import percentile

WRK = """Running 2s test @ http://localhost/version
  2 threads and 32 connections
  Latency Distribution
     50%    3.20ms
     99%   {p99}
  18860 requests in 2.00s, 4.17MB read
Requests/sec:   9430.11
"""


@pytest.mark.parametrize(
    ("time", "ms"), [("980.00us", 0.98), ("10.60ms", 10.6), ("1.20s", 1200.0), ("1.50m", 90_000.0)]
)
def test_wrk_prints_times_in_several_units(time: str, ms: float) -> None:
    count, rate, p99 = parse(WRK.format(p99=time))
    assert (count, rate) == (18860, 9430.11)
    assert p99 == pytest.approx(ms)


@pytest.mark.parametrize(
    "output",
    [
        WRK.format(p99="1.00ms") + "  Non-2xx or 3xx responses: 1\n",
        WRK.format(p99="1.00ms") + "  Socket errors: connect 0, read 3, write 0, timeout 0\n",
        WRK.format(p99="0.00us").replace("18860", "0"),
        "unable to connect to localhost:80 Connection refused\n",
    ],
)
def test_failed_requests_are_no_figure(output: str) -> None:
    with pytest.raises(ValueError, match=r"requests in|unable"):
        parse(output)


@pytest.mark.parametrize(
    ("rates", "workers"),
    [
        ([100, 198, 200, 199, 195, 190], 2),  # computing on two cores
        ([100, 150, 180, 200, 201, 202], 4),
        ([200, 199, 201, 200, 200, 200], 1),  # waiting with await
        ([100, 200, 300, 400, 600, 800], 8),
    ],
)
def test_the_knee_is_the_fewest_workers_near_the_best_rate(rates: list[float], workers: int) -> None:
    assert knee([1, 2, 3, 4, 6, 8], rates) == workers


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(value) for value in range(1, 201)]
    assert percentile(values, 50) == 100
    assert percentile(values, 99) == 198
    assert percentile([7.0], 99) == 7


def test_only_requests_sent_while_pictures_are_made_count() -> None:
    requests = [{"t": at / 10, "ms": at * 1.0, "r": "/a"} for at in range(100)]
    figures = queueing.figures(requests, [(1.0, 2.0), (5.0, 5.5)])
    assert figures == {"p50_ms": 17.0, "p99_ms": 54.0, "requests": 15, "seconds": 0.75}


def test_no_request_while_pictures_are_made_is_an_error() -> None:
    with pytest.raises(LabError, match="no link was followed"):
        queueing.figures([{"t": 0.0, "ms": 1.0, "r": "/a"}], [(1.0, 2.0)])


def test_a_failed_request_of_the_pictures_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "request", lambda *_, **__: (503, b"busy"))
    with pytest.raises(LabError, match=r"POST /bench/qr/loop/aaa: status 503 instead of 200: busy"):
        queueing.make_in_loop("http://127.0.0.1:9", ["aaa"])
    with pytest.raises(LabError, match=r"POST /links/aaa/qr: status 503 instead of 202"):
        queueing.make_in_queue("http://127.0.0.1:9", ["aaa"])


SCALING = {
    "foreign_cpus": 0.04,
    "workers": [1, 2],
    "routes": {"compute": {"rate": [80.0, 160.0], "p99_ms": [200.0, 101.4], "cores": [1.0, 1.96], "knee": 2}},
    "memory_mb": [90.2, 120.4],
}
QUEUE = {"foreign_cpus": 0.7, "methods": {"queue": {"p50_ms": 3.0, "p99_ms": 21.25, "requests": 900, "seconds": 0.41}}}


def test_the_table_has_only_the_parts_that_were_measured() -> None:
    text = table.table({"scaling": SCALING, "queue": QUEUE})
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "compute, 2 workers: requests/s; p99; CPUs busy 160; 101 ms; 1.96" in lines
    assert "21.2 ms" in text
    assert "120 MB" in text
    assert "site.yml" not in text
    assert table.table({"queue": QUEUE}).count("\n") == 1


def test_a_port_is_compared_with_the_handed_socket() -> None:
    setups = ("socket-kept", "port-kept", "socket-each", "port-each")
    values = {setup: 1000.0 * number for number, setup in enumerate(setups, 1)}
    figures = {
        "foreign_cpus": 0.0,
        "ratios": {"kept": 0.81, "each": 0.6},
        "rate": values,
        "p99_ms": values,
        "cpu_us": values,
    }
    text = table.table({"port": figures})
    assert "0.81 x (2,000, 1,000)" in text
    assert "0.60 x (4,000, 3,000)" in text


def test_other_work_on_the_machine_is_reported() -> None:
    assert "NOT REACHED" in table.table({"queue": QUEUE})
    assert "NOT REACHED" not in table.table({"scaling": SCALING})


def test_an_unknown_part_is_refused_with_the_names_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--only", "everything"])
    message = capsys.readouterr().err
    assert "everything" in message
    assert "scaling" in message


@pytest.mark.parametrize(
    ("smoke", "rounds", "seconds", "size"),
    [
        (False, None, None, bench.Size()),
        (True, None, None, bench.SMOKE),
        (
            False,
            9,
            10,
            bench.Size(serving_rounds=9, scaling_rounds=9, queue_rounds=9, serving_seconds=10, scaling_seconds=10),
        ),
    ],
)
def test_the_command_line_chooses_the_size(
    smoke: bool, rounds: int | None, seconds: int | None, size: bench.Size
) -> None:
    assert bench.size_of(argparse.Namespace(smoke=smoke, rounds=rounds, seconds=seconds)) == size


def test_a_measurement_that_fails_is_exit_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> bench.Figures:
        raise LabError("slipway: requests to http://localhost:80/version failed")

    monkeypatch.setattr(bench, "measure", fails)
    assert bench.main([]) == 1
    assert "error: slipway: requests to" in capsys.readouterr().err


def test_a_rate_of_what_is_not_answered_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = "  0 requests in 1.09s, 0.00B read\nRequests/sec:      0.00\n"
    refused = "unable to connect to localhost:8000 Connection refused\n"
    answered = WRK.format(p99="1.20ms")
    outputs = [refused, silent, f"{answered}Non-2xx or 3xx responses: 7\n", answered]
    host: Any = SimpleNamespace(shell=lambda _script: outputs.pop(0))
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    wrk.wait(host, "http://localhost:8000/version")
    assert not outputs
    host.shell = lambda _script: silent
    monkeypatch.setattr(wrk, "WAIT_SECONDS", -1)
    with pytest.raises(LabError, match="did not answer"):
        wrk.wait(host, "http://localhost:8000/version")
