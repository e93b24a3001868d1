"""tools/contract checks the lines of the documentation, with the environment that the units give an app."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.contract.lines import LINES, Finding, State, table
from slipway.contract.site import Site, SiteError

ROOT = Path(__file__).resolve().parents[2]


def test_each_line_of_the_contract_is_checked() -> None:
    text = (ROOT / "docs/reference/contract.md").read_text().replace("`", "")
    table = text[text.index("| An app |") : text.index("USER, VOLUME")]
    rows = re.findall(r"^\| (.+?) \|", table, re.MULTILINE)[1:]
    assert len(rows) == len(LINES)
    for row, line in zip(rows, LINES.values(), strict=True):
        assert row.startswith(line)


def test_lines_that_nothing_shows_for_one_reason_share_a_row() -> None:
    findings = dict.fromkeys(LINES, Finding(State.KEPT))
    findings |= dict.fromkeys(("ready", "stop", "logs"), Finding(State.UNSEEN, "the app did not become ready"))
    findings |= {
        "socket": Finding(State.BROKEN, "nothing listens"),
        "several": Finding(State.UNSEEN, "its code shows it"),
    }
    rows = table(findings).splitlines()
    assert rows.count(f"{'':18}the app did not become ready") == 1
    assert [row for row in rows if row.startswith("cannot be seen")] == [
        "cannot be seen  3 lines of the contract",
        f"cannot be seen  {LINES['several']}",
    ]
    assert len(rows) == len(LINES) - 2 + 3


def test_the_app_gets_the_units_environment() -> None:
    environment = Site.read(["app_request_timeout=7", "app_workers=3", "app_preload=false"]).environment()
    assert "--timeout 7 --graceful-timeout 7" in environment["GUNICORN_CMD_ARGS"]
    assert environment["FORWARDED_ALLOW_IPS"] == "*"
    assert (environment["HOME"], environment["STATE_DIRECTORY"]) == ("/tmp", "/var/lib/app")
    assert (environment["WEB_CONCURRENCY"], environment["APP_PRELOAD"]) == ("3", "false")


def test_variables_of_other_roles_in_a_file_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "all.yml").write_text("release_image: x\nhost_admin: y\napp_database: external\nother: '{{ x }}'\n")
    site = Site.read([f"@{tmp_path}/all.yml"])
    assert (site["app_egress"], site["release_image"]) == ("internet", "")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("app_workers=many", "app_workers is 'many', and must be a whole number"),
        ("app_redy_path=/x", "use one of .*app_ready_path"),
        ("@/nowhere.yml", "/nowhere.yml cannot be read"),
        ("app_probe_host={{ x }}", "give the value,"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(argument: str, message: str) -> None:
    with pytest.raises(SiteError, match=message):
        Site.read([argument])


def test_a_missing_image_argument_prints_the_usage() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools/contract"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "IMAGE" in done.stderr.upper()
