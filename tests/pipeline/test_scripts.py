"""What tools/pipeline says of hosts, without hosts."""

import json
import os
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAD, PARENT = (
    subprocess.run(["git", "rev-parse", name], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    for name in ("HEAD", "HEAD~1")
)
DIGEST = f"127.0.0.1:5000/app@sha256:{'a' * 64}"


def status(release: str = "20261122T105851-3f2a9c1", **other: Any) -> dict[str, Any]:
    """What a host says, as far as the scripts read it."""
    pair = {"new": {"bad": 0, "tries": 40}, "old": {"bad": 1, "tries": 400}}
    return {
        "live": release,
        "commit": HEAD,
        "image_name": DIGEST,
        "state": "healthy",
        "lock": None,
        "history": [{"what": "deploy", "release": release, "by": "alice", "ended": "done"}],
        "releases": [
            {
                "release": release,
                "request": {"by": "bob"},
                "phases": [
                    {"name": "start", "seconds": 1.0},
                    {"name": "watch", "seconds": 4.0, "saw": {"traffic": pair, "asked": pair}},
                ],
            }
        ],
        "config": {"ready_path": "/readyz", "version_path": "/version"},
    } | other


def keep(folder: Path, **hosts: dict[str, Any]) -> Path:
    """The folder as `statuses` leaves it."""
    folder.mkdir()
    for name, said in hosts.items():
        (folder / name).write_text(json.dumps(said))
    return folder


def script(name: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one of tools/pipeline."""
    command = [str(ROOT / "tools/run"), str(ROOT / "tools/pipeline" / name), *map(str, arguments)]
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "SLIPWAY_", "COSIGN_"))
    }
    return subprocess.run(
        command, env=clean | environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def test_an_older_commit_is_superseded_if_all_hosts_have_a_newer_one(tmp_path: Path) -> None:
    both = keep(tmp_path / "both", a=status(), b=status())
    assert script("newer", PARENT, both).stdout.strip() == HEAD
    assert script("newer", HEAD, both).stdout == ""
    one = keep(tmp_path / "one", a=status(), b=status(commit=PARENT))
    assert script("newer", PARENT, one).stdout == ""
    unknown = keep(tmp_path / "unknown", a=status(commit="0" * 40))
    assert script("newer", PARENT, unknown).stdout == ""


def test_the_report_tells_phases_failed_requests_and_what_was_before(tmp_path: Path) -> None:
    before = keep(tmp_path / "before", a=status())
    after = keep(tmp_path / "after", a=status("20261122T110000-0000000"))
    said = script(
        "report", "production", "--before", before, "--after", after, "--image", DIGEST, "--seconds", "14"
    ).stdout
    for told in (
        "`20261122T110000-0000000` is live",
        "| start | watch |",
        "5.0 s on the host, by bob",
        "1 of 440",
        "14 s",
        DIGEST,
        "by alice ended done",
    ):
        assert told in said
    assert "by hand" not in said
    assert (
        "by hand"
        in script(
            "report", "staging", "--before", before, "--after", after, "--image", DIGEST, SLIPWAY_PRODUCTION="by-hand"
        ).stdout
    )


def test_the_report_shows_the_cause_and_nothing_in_it_ends_its_block(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("TASK [...]\nok: [a]\nfatal: [a]: FAILED! =>\n  msg: |-\n    it crashed\n````\n# not a title\n")
    said = script("report", "production", "--before", keep(tmp_path / "before", a=status()), "--failed", log).stdout
    assert "it crashed" in said
    assert "stays live" in said
    assert "ok: [a]" not in said
    assert said.count("`````") == 2


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"state": "interrupted"}, "an activation was cut off"),
        ({"lock": {"release": "20261122T105851-3f2a9c1", "by": "bob"}}, "by bob was under way"),
        ({"history": []}, "stays live"),
    ],
)
def test_the_report_tells_what_the_run_before_has_left(tmp_path: Path, said: dict[str, Any], told: str) -> None:
    log = tmp_path / "log"
    log.write_text("")
    assert told in script("report", "x", "--before", keep(tmp_path / "b", a=status(**said)), "--failed", log).stdout


def test_production_by_hand_takes_what_staging_runs(tmp_path: Path) -> None:
    hosts = keep(tmp_path / "hosts", a=status())
    assert script("runs", DIGEST, hosts).returncode == 0
    refused = script("runs", DIGEST.replace("a" * 64, "b" * 64), hosts)
    assert refused.returncode == 1
    assert DIGEST in refused.stderr


@pytest.mark.parametrize(("live", "good"), [("20261122T105851-3f2a9c1", True), ("20261122T110000-0000000", False)])
def test_the_public_url_has_to_answer_with_what_the_hosts_serve(tmp_path: Path, live: str, good: bool) -> None:
    class App(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"release": "20261122T105851-3f2a9c1"}')

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), App) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        asked = script("ask", url, keep(tmp_path / "hosts", a=status(live)))
        server.shutdown()
    assert (asked.returncode == 0) is good
    assert ("is ready" in asked.stdout) is good


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("deploy", ("nowhere", DIGEST), "no such environment"),
        ("deploy", ("production", "app:latest"), "not an image by digest"),
        ("deploy", ("production",), "usage"),
        ("rollback", ("production", "latest"), "not a release"),
        ("verify", (DIGEST,), "is not from"),
        ("publish", ("image.tar", "latest"), "not an image's id"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_touched(name: str, arguments: tuple[str, ...], told: str) -> None:
    refused = script(name, *arguments, SLIPWAY_REGISTRY="registry.example.com/app")
    assert refused.returncode != 0
    assert told in refused.stderr


@pytest.mark.parametrize("missing", ["SLIPWAY_SSH_KEY", "SLIPWAY_KNOWN_HOSTS"])
def test_a_workflow_without_its_key_or_the_hosts_keys_stops(missing: str) -> None:
    there = {"GITHUB_ACTIONS": "true", "SLIPWAY_SSH_KEY": "x", "SLIPWAY_KNOWN_HOSTS": "x"}
    del there[missing]
    assert f"no {missing}" in script("deploy", "production", DIGEST, **there).stderr
