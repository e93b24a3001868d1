"""A real browser shows the page: hostile text does nothing there, and it fits a phone."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from slipway.controller.page.report import page
from slipway.model.period import Period

BROWSER = ("chromium-headless-shell", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--dump-dom")
WATCH = "<script>window.alert = text => document.body.append('HOSTILE ' + text)</script>"
MEASURE = """<script>
const plot = document.querySelector(".plot").getBoundingClientRect();
document.querySelector(".timeline").dispatchEvent(new PointerEvent("pointermove", {clientX: plot.left + 5}));
document.title = [document.documentElement.scrollWidth, innerWidth, document.querySelector(".tip").textContent].join("|");
</script>"""


@pytest.mark.catalogue
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_in_chromium(report: dict[str, Any], tmp_path: Path, width: int) -> None:
    text = page("production", Period.DAY, {"web1": report})
    file = tmp_path / "page.html"
    file.write_text(text.replace("<body>", f"<body>{WATCH}").replace("</body>", f"{MEASURE}</body>"))
    shown = subprocess.run(
        [*BROWSER, f"--window-size={width},900", file.as_uri()], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    assert "HOSTILE" not in shown.replace(WATCH, "")
    assert "<img" not in shown
    title = re.search(r"<title>(.*?)</title>", shown, re.DOTALL)
    assert title
    needed, inner, tip = title[1].split("|")
    assert int(needed) <= int(inner) == width
    assert tip.startswith("2023-11-14 22:")
    assert "requests answered, 1 failed" in tip
