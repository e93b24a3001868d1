"""What nginx answers, and what it may do."""

import http.client
import json
import re
import time
import uuid
from contextlib import closing
from typing import Any

from fetched import fetch


def test_the_site_answers(ask: Any) -> None:
    answer = ask("/readyz")
    assert answer.status == 200
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_another_name_is_refused(ask: Any) -> None:
    answer = ask("/readyz", host="other.example.com")
    assert answer.status == 421
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_generation_and_the_counters_are_told_to_the_host_alone(ask: Any, host: Any) -> None:
    for path, refused, told in (
        ("generation", 421, "[0-9a-f]{16}"),
        ("stub_status", 403, "(?s)Active connections: .*"),
    ):
        assert ask(f"/.slipway/{path}", host="slipway.invalid").status == refused
        assert ask(f"/.slipway/{path}").status == 404
        assert re.fullmatch(told, fetch(host, f"http://127.0.0.1/.slipway/{path}").strip())


def test_a_large_body_is_refused(ask: Any) -> None:
    assert ask("/links", method="POST", **{"Content-Length": str(64 << 20)}).status == 413


def test_an_ordinary_upload_reaches_the_app(ask: Any) -> None:
    answer = ask("/links", method="POST", body=b" " * (5 << 20), **{"Content-Type": "application/json"})
    assert answer.status == 422


def test_large_headers_reach_the_app_or_are_named(ask: Any) -> None:
    assert ask("/readyz", Cookie="x" * 16384).status == 200
    refused = ask("/readyz", Cookie="x" * 40_000)
    assert (refused.status, json.loads(refused.body)["status"]) == (431, 431)
    assert "headers are larger" in json.loads(refused.body)["title"]


def test_a_stream_is_passed_on_as_it_comes(addresses: dict[str, str]) -> None:
    """Ten events, two seconds from the first to the last; half of that is the margin."""
    with closing(http.client.HTTPConnection(addresses["http"], timeout=30)) as connection:
        headers = {"Host": "localhost", "Accept": "*/*", "Accept-Encoding": "gzip"}
        connection.request("GET", "/events?count=10", headers=headers)
        with connection.getresponse() as response:
            assert response.status == 200
            arrived = [time.monotonic() for _ in iter(response.read1, b"")]
    assert max(arrived, default=0) - min(arrived, default=0) > 1, f"{len(arrived)} pieces"


def test_it_runs_without_privilege(host: Any) -> None:
    pid = host.check_output("systemctl show --property=MainPID --value nginx.service")
    assert host.check_output(f"stat --format=%U /proc/{pid}") == "www-data"
    assert re.search(r"^CapEff:\s*0+$", host.file(f"/proc/{pid}/status").content_string, re.MULTILINE)


def test_its_exposure_is_low(host: Any) -> None:
    lines = host.check_output("systemd-analyze security --no-pager nginx.service").splitlines()
    exposure = re.search(r"exposure level .*: ([0-9.]+)", lines[-1])
    assert exposure and float(exposure[1]) <= 0.5


def test_systemd_holds_the_ports(host: Any) -> None:
    listening = host.check_output("systemctl show --property=Listen --value nginx.socket").splitlines()
    assert sorted(listening) == ["0.0.0.0:80 (Stream)", "[::]:80 (Stream)"]
    assert host.service("nginx.socket").is_enabled
    assert host.service("nginx.service").is_enabled


def test_only_the_ports_that_are_meant_are_open(host: Any) -> None:
    lines = host.check_output("ss --no-header --listening --tcp --numeric").splitlines()
    assert {line.split()[3].rpartition(":")[2] for line in lines} == {"22", "80"}


def test_a_deployer_reads_its_log(deployer: Any, ask: Any) -> None:
    name = f"from-the-test-{uuid.uuid4().hex}"
    assert ask(f"/readyz?{name}").status == 200
    # nginx writes the line after the response is sent, and the log may be rotated meanwhile.
    line = deployer.check_output(
        f"for attempt in $(seq 50); do tail -qn 2000 /var/log/nginx/access.log* | grep {name} && exit; sleep 0.1; done"
    )
    entry = json.loads(line)
    assert entry["status"] == 200
    assert entry["slice"] in {"live", "canary"}


def test_its_logs_rotate(host: Any) -> None:
    assert host.run("logrotate --force /etc/logrotate.d/nginx").rc == 0
    assert host.file("/var/log/nginx/access.log").user == "www-data"


def test_the_first_release_comes_back_at_boot(host: Any) -> None:
    assert host.service("recover.service").is_enabled
