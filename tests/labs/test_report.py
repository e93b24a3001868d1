"""From the record of a run to its page."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labs.percentile import percentile
from labs.report import figures as figures_page
from labs.report.deploys import write_page
from labs.report.outcomes import outcomes
from labs.report.record import RecordError, read_run, write_lines
from labs.report.samples import sample
from slipway.controller.page import chart
from slipway.controller.page.bands import bands, spans, spread
from slipway.report.routing import routings
from tests.labs.conftest import BAD, BEGIN, GOOD, OLD, deploys, request

ROOT = Path(__file__).parents[2]


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data-slipway">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found
    values: dict[str, Any] = json.loads(found[1])
    return values


def test_each_request_and_each_failure_is_in_one_bin(run_folder: Path) -> None:
    samples = sample(read_run(run_folder).tracks[0])
    assert samples.width == 0.5
    assert sum(each.answered + each.failed for each in samples.bins) == 600
    assert {index for index, each in enumerate(samples.bins) if each.failed} == {86}
    assert samples.bins[86].failed == 3
    assert samples.bins[86].errors == ["3 x GET /{slug}: 500"]


def test_the_release_of_each_slice_follows_from_the_phases() -> None:
    at = [(round(each.at - BEGIN, 1), each.live, each.canary) for each in routings(deploys())[1:]]
    assert at == [(13, OLD, GOOD), (18, GOOD, OLD), (23, GOOD, GOOD), (42, GOOD, BAD), (45, GOOD, GOOD)]


def test_a_rollback_moves_all_traffic_at_once() -> None:
    rollback = deploys()[0]
    rollback.phases = [phase for phase in rollback.phases if phase.name == "cutover"]
    assert [(each.live, each.canary) for each in routings([rollback])] == [(OLD, OLD), (GOOD, GOOD)]


def test_shares_of_the_traffic(run_folder: Path) -> None:
    samples = sample(read_run(run_folder).tracks[0])
    assert samples.bins[5].shares == {OLD: 1.0}
    assert samples.bins[30].shares == {OLD: pytest.approx(0.8), GOOD: pytest.approx(0.2)}  # one of five
    assert samples.bins[40].shares == {OLD: pytest.approx(0.2), GOOD: pytest.approx(0.8)}
    assert BAD in samples.bins[86].shares
    assert samples.bins[100].shares == {GOOD: 1.0}


def test_failures_count_for_the_deploy_in_which_they_were_sent(run_folder: Path) -> None:
    good, bad = outcomes(read_run(run_folder).tracks[0])
    assert (good.requests, good.failed, good.contained) == (400, 0, True)
    assert (bad.requests, bad.failed, bad.in_canary, bad.contained) == (201, 3, 3, True)


def test_a_failure_outside_of_the_canary_is_not_contained(run_folder: Path) -> None:
    log = run_folder / "slipway/access.jsonl"
    log.write_text(log.read_text().replace("canary.sock", "live.sock"))
    _, bad = outcomes(read_run(run_folder).tracks[0])
    assert (bad.failed, bad.in_canary, bad.contained) == (3, 0, False)


@pytest.mark.parametrize(("percent", "value"), [(50, 2), (95, 4), (99, 4), (100, 4), (25, 1)])
def test_percentiles_are_of_the_nearest_rank(percent: float, value: float) -> None:
    assert percentile([1, 2, 3, 4], percent) == value
    with pytest.raises(IndexError):
        percentile([], percent)


def test_a_bin_without_responses_has_no_percentile(run_folder: Path) -> None:
    requests = run_folder / "slipway/requests.jsonl"
    lines = requests.read_text().splitlines(keepends=True)
    requests.write_text("".join(line for line in lines if not BEGIN + 20 <= json.loads(line)["t"] < BEGIN + 25))
    samples = sample(read_run(run_folder).tracks[0])
    assert (samples.bins[45].answered, samples.bins[45].p50, samples.bins[45].p99) == (0, None, None)
    assert len([kind for kind, _ in chart.latency(samples).shapes if kind == "line c-p50"]) == 2


def test_labels_keep_their_order_and_distance() -> None:
    places = spread([10, 10, 10, 50, 50.5], 2)
    assert places == pytest.approx([8, 10, 12, 49.25, 51.25])
    assert spread([0, 0, 0], 2) == [0, 2, 4]
    assert spread([99, 100, 100], 2) == [96, 98, 100]


def test_bands_are_at_the_times_of_the_phases(run_folder: Path) -> None:
    track = read_run(run_folder).tracks[0]
    samples = sample(track)
    found = bands(samples, track.deploys)
    assert [band.name for band in found] == [phase.name for deploy in deploys() for phase in deploy.phases]
    watch = found[2]
    assert [watch.left, watch.width] == pytest.approx([100 * 13 / 60, 100 * 5 / 60])
    assert [(span.name, span.kind) for span in spans(samples, track.deploys)] == [
        ("good deploy", "good"),
        ("bad deploy", "bad"),
    ]


def test_one_failure_among_thousands_is_drawn_and_counted(run_folder: Path) -> None:
    samples = sample(read_run(run_folder).tracks[0])
    samples.bins[3].failed = 2000
    panel = chart.failures(samples)
    assert [note.text for note in panel.notes] == ["2,000", "3"]
    heights = [float(top) for top in re.findall(r"100V([0-9.]+)H", panel.shapes[0][1])]
    assert len(heights) == 2
    assert max(heights) < 85  # of 100, from the top


@pytest.mark.parametrize(("value", "round_"), [(0.3, 0.5), (1, 1), (7, 10), (12, 20), (160, 200)])
def test_axes_end_at_round_numbers(value: float, round_: float) -> None:
    assert chart.nice(value) == pytest.approx(round_)


def test_the_page_shows_each_outcome_and_loads_nothing(run_folder: Path) -> None:
    page, found = write_page(run_folder)
    text = page.read_text()
    assert [outcome.failed for outcome in found["slipway"]] == [0, 3]
    assert re.search(r'class="big">0<span> of 400 failed', text)
    assert re.search(r'class="big">3<span> of 201 failed', text)
    assert "All on the canary." in text
    for phase in ("start", "canary", "watch-canary", "cutover", "watch", "complete", "retire", "abort"):
        assert f">{phase}</span>" in text
    assert not re.search(r"""(src|href)\s*=|url\(|@import|https?://|fetch\(|<link""", text)
    assert len(text) < 200_000


def test_output_of_the_app_is_escaped(run_folder: Path) -> None:
    text = write_page(run_folder)[0].read_text()
    assert "&lt;b&gt;it fails&lt;/b&gt;" in text
    assert "<b>it fails" not in text


def test_the_page_has_the_values_under_the_pointer(run_folder: Path) -> None:
    data = data_of(write_page(run_folder)[0])
    assert data["width"] == 0.5
    assert sum(each["failed"] for each in data["bins"]) == 3
    assert data["bins"][86]["errors"] == ["3 x GET /{slug}: 500"]
    assert [name for name, *_ in data["phases"]][:2] == ["start", "canary"]


def test_a_recorded_run_is_drawn_again(run_folder: Path) -> None:
    first = write_page(run_folder)[0].read_text()
    again = subprocess.run(
        [sys.executable, "-m", "labs.report.deploys", run_folder], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert Path(again.stdout.strip()).read_text() == first


def test_the_folder_of_a_load_is_a_run_whose_marks_are_its_deploys(tmp_path: Path) -> None:
    write_lines(tmp_path / "requests.jsonl", (request(at) for at in range(20)))
    write_lines(tmp_path / "marks.jsonl", [{"t": BEGIN + 5, "mark": "deploy"}, {"t": BEGIN + 9, "mark": "rollback"}])
    page, found = write_page(tmp_path)
    ((outcome, second),) = found.values()
    assert [outcome.deploy.name, second.deploy.name] == ["deploy", "rollback"]
    assert ">rollback</span>" in page.read_text()


def test_a_folder_without_a_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"has no requests\.jsonl"):
        read_run(tmp_path)


def test_the_page_of_the_bench_has_bars_and_lines(tmp_path: Path) -> None:
    routes = {"compute": {"rate": [80.0, 160.0], "p99_ms": [200.0, 101.4], "cores": [1.0, 1.96], "knee": 2}}
    method = {"p50_ms": 3.0, "p99_ms": 21.25, "requests": 900, "seconds": 0.41}
    serving = {name: {"slipway": 2000.0, "baseline": 1000.0} for name in ("rates", "p99_ms", "cpu_us", "memory_mb")}
    deploying = dict.fromkeys(("site_bare", "site_again", "deploy_live", "rollback", "rollback_on_host"), 1.5)
    platform = {"seconds": 40.0, "failures": 0, "p99_ms": 31.0, "idle_mb": 500, "peak_mb": 900}
    page = figures_page.write_page(
        tmp_path,
        {
            "deploying": {**deploying, "phases": {"start": 0.08}},
            "serving": {**serving, "workers": 4},
            "scaling": {"workers": [1, 2], "routes": routes, "memory_mb": [90.2, 120.4]},
            "queue": {"methods": {"queue": method}},
            "platforms": {"vms": platform, "kubernetes": platform | {"seconds": 80.0}},
        },
    )
    text = page.read_text()
    assert re.search(r'<th>Slipway</th><td><div class="own" style="width:100.00%"></div></td><td>2,000</td>', text)
    assert re.search(r'<th>baseline</th><td><div class="" style="width:50.00%"></div></td><td>1,000</td>', text)
    assert re.search(
        r'<th>two VMs and a data host</th><td><div class="own" style="width:50.00%"></div></td><td>40.0</td>', text
    )
    assert text.count('<path class="line c-release-0"') == 2  # rate and latency of one route
    assert not re.search(r"""(src|href)\s*=|url\(|@import|https?://|fetch\(|<link""", text)
