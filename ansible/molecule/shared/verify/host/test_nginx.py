"""What nginx answers, and what it may do."""

import json
import re
from typing import Any


def test_the_site_answers(ask: Any) -> None:
    answer = ask("/readyz")
    assert answer.status == 200
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_another_name_is_refused(ask: Any) -> None:
    answer = ask("/readyz", host="other.example.com")
    assert answer.status == 421
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_generation_is_told_to_the_host_alone(ask: Any) -> None:
    assert ask("/.slipway/generation", host="slipway.invalid").status == 421


def test_a_large_body_is_refused(ask: Any) -> None:
    assert ask("/links", method="POST", **{"Content-Length": str(3 << 20)}).status == 413


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
    ask("/readyz?from-the-test")
    lines = deployer.check_output("tail -n 2000 /var/log/nginx/access.log").splitlines()
    entry = [json.loads(line) for line in lines if "from-the-test" in line][-1]
    assert entry["status"] == 200
    assert entry["slice"] in {"live", "canary"}


def test_its_logs_rotate(host: Any) -> None:
    assert host.run("logrotate --force /etc/logrotate.d/nginx").rc == 0
    assert host.file("/var/log/nginx/access.log").user == "www-data"


def test_the_first_release_comes_back_at_boot(host: Any) -> None:
    assert host.service("recover.service").is_enabled
