"""A real browser reads streams: Chromium, which asks for everything compressed."""

import subprocess
import time

import pytest

from tests.nginx.conftest import Site
from tests.nginx.streaming_app import PARTS, PAUSE_SECONDS, reports


@pytest.mark.catalogue
def test_chromium_reads_streams_as_they_come(site: Site) -> None:
    command = ["chromium-headless-shell", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    with subprocess.Popen([*command, f"{site.url}/page"], stderr=subprocess.DEVNULL) as browser:
        deadline = time.monotonic() + 60
        while not reports and time.monotonic() < deadline:
            time.sleep(0.05)
        browser.terminate()
    (report,) = reports
    assert len(report) == 9
    for kind, (parts, milliseconds) in report.items():
        assert parts == PARTS, kind
        assert milliseconds > (PARTS - 1) * PAUSE_SECONDS * 1000 / 2, kind
