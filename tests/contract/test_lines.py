"""The lines that are checked are those that the documentation has, and the host is the one that the units make."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.contract_check.lines import LINES
from tools.contract_check.site import Site, SiteError

ROOT = Path(__file__).resolve().parents[2]


def test_each_line_of_the_contract_is_looked_at() -> None:
    text = (ROOT / "docs/contract.md").read_text().replace("`", "")
    table = text[text.index("| An app |") : text.index("USER, VOLUME")]
    rows = re.findall(r"^\| (.+?) \|", table, re.MULTILINE)[1:]
    assert len(rows) == len(LINES)
    for row, line in zip(rows, LINES.values(), strict=True):
        assert row.startswith(line)


def test_the_app_gets_the_units_environment() -> None:
    environment = Site.read(["app_request_timeout=7", "app_workers=3", "app_preload=false"]).environment()
    assert "--timeout 7 --graceful-timeout 7" in environment["GUNICORN_CMD_ARGS"]
    assert environment["FORWARDED_ALLOW_IPS"] == "*"
    assert (environment["HOME"], environment["STATE_DIRECTORY"]) == ("/var/lib/app", "/var/lib/app")
    assert (environment["WEB_CONCURRENCY"], environment["APP_PRELOAD"]) == ("3", "false")


def test_variables_of_other_roles_in_a_file_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "all.yml").write_text("release_image: x\nhost_admin: y\napp_database: external\nother: '{{ x }}'\n")
    site = Site.read([f"@{tmp_path}/all.yml"])
    assert (site["app_egress"], site["release_image"]) == ("internet", "")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("app_redy_path=/x", "use one of .*app_ready_path"),
        ("@/nowhere.yml", "/nowhere.yml cannot be read"),
        ("app_probe_host={{ x }}", "give the value,"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(given: str, says: str) -> None:
    with pytest.raises(SiteError, match=says):
        Site.read([given])


def test_who_asks_for_no_image_is_told_how() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools/contract"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "IMAGE" in done.stderr.upper()
