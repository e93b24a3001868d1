"""The page of a report: complete, self-contained, and safe whatever clients sent."""

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from slipway.controller import host_status
from slipway.controller.cli import main
from slipway.controller.page.report import ReportError, page
from slipway.model.period import Period
from slipway.report.routing import Routing
from slipway.report.samples import Bin, Samples
from slipway.report.traffic import Traffic
from tests.report.conftest import BEGIN, NEW, OLD
from tests.wheel import write_shop


class Elements(HTMLParser):
    """The elements of a page, with their attributes, as a browser finds them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_hostile_text_is_text(report: dict[str, Any]) -> None:
    text = page("production", Period.DAY, {"web1": report})
    elements = Elements(text).found
    assert "img" not in {tag for tag, _ in elements}
    assert not [name for _, values in elements for name in values if name.startswith("on")]
    assert [tag for tag, _ in elements].count("script") == 2  # the data's and the page's own
    assert "alert(2)" in text
    assert "{{7*7}}" in text


def test_the_page_has_every_part_and_loads_nothing(report: dict[str, Any]) -> None:
    text = page("production", Period.DAY, {"web1": report})
    for part in (
        "requests per second",
        "traffic by release",
        "Routes",
        "Slowest requests",
        "GET /users/{id}",
        "of 512 MiB",
    ):
        assert part in text
    assert re.search(r'class="big">1<span> of 3<', text)
    assert f"deploy {NEW}" in text
    assert "prefers-color-scheme: dark" in text
    loading = [values for _, values in Elements(text).found if {"src", "href"} & values.keys()]
    assert not loading
    assert not re.search(r"@import|url\(|fetch\(|<link", text)


def test_the_values_under_the_pointer_are_json(report: dict[str, Any]) -> None:
    text = page("production", Period.DAY, {"web1": report})
    found = re.search(r'id="data-web1">(.*?)</script>', text, re.DOTALL)
    assert found
    data = json.loads(found[1])
    assert (data["begin"], data["width"], len(data["bins"]), len(data["phases"])) == (BEGIN, 600, 144, 2)


def test_a_quiet_day_has_a_page_too(report: dict[str, Any]) -> None:
    empty = Traffic(Samples(BEGIN, 600, [Bin() for _ in range(144)]), [Routing(-math.inf, OLD, NEW)]).to_json()
    report |= {"traffic": empty, "activations": [], "restarts": [], "units": [], "live": None}
    assert "No release is live." in page("production", Period.DAY, {"web1": report})


@pytest.mark.parametrize("name", ["traffic", "memory", "activations", "restarts"])
@pytest.mark.parametrize("value", ["x", 7, {"phases": 1}])
def test_what_is_no_report_is_an_error_that_names_the_host(report: dict[str, Any], name: str, value: object) -> None:
    with pytest.raises(
        ReportError, match=r"web1: what the engine printed is no report .* slipway provision production"
    ):
        page("production", Period.DAY, {"web1": report | {name: value}})


def test_the_verb_writes_the_page(
    report: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(write_shop(tmp_path / "shop"))
    commands = []

    def answer(command: str, _ssh: object, timeout: float) -> dict[str, Any]:
        commands.append(command)
        return report

    monkeypatch.setattr(host_status, "ask_for", answer)
    with pytest.raises(SystemExit) as ended:
        main(["report", "production", "--since", "7d", "--output", "page.html"])
    assert (ended.value.code, commands) == (0, ["slipway report --since=7d"])
    assert Path("page.html").read_text().startswith("<!doctype html>")
    assert capsys.readouterr().out == f"Page: {Path('page.html').absolute()}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "2d"], "'2d' is not one of '1d', '7d'"),
        (["--output", "/nowhere/x.html"], "--output /nowhere/x.html is a folder or is in none"),
        (["--output", "."], "--output . is a folder or is in none. Name a file"),
    ],
)
def test_a_wrong_option_is_refused_in_words(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(write_shop(tmp_path / "shop"))
    with pytest.raises(SystemExit) as ended:
        main(["report", "production", *arguments])
    assert ended.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
