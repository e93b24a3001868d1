"""The exporters of a host with PostgreSQL and a broker: what each serves, and to whom."""

import re
import time
from typing import Any

import pytest
from fetched import fetch

from slipway.units.metrics import PORTS


def value(host: Any, port: int, series: str) -> float:
    """Return the value of a series, by the beginning of its line."""
    lines = fetch(host, f"http://127.0.0.1:{port}/metrics").splitlines()
    found = [line for line in lines if line.startswith(series)]
    assert len(found) == 1, f"{series}: {found or lines[-20:]}"
    return float(found[0].rpartition(" ")[2])


def test_each_exporter_listens_on_the_loopback_alone(host: Any) -> None:
    lines = host.check_output("ss --no-header --listening --tcp --numeric").splitlines()
    listening = {line.split()[3] for line in lines}
    for port in PORTS.values():
        assert {each for each in listening if each.endswith(f":{port}")} == {f"127.0.0.1:{port}"}


def test_the_engines_metrics_come_by_node_exporter(host: Any, status: Any) -> None:
    host.check_output("systemctl start metrics.service")
    assert value(host, 9100, "slipway_site_up ") == 1
    assert value(host, 9100, f'slipway_live_info{{commit="{status["commit"] or ""}",release="{status["live"]}"') == 1
    assert value(host, 9100, "slipway_last_activation_failed ") == 0
    assert value(host, 9100, 'slipway_backup_problem{what="backup"}') == 0
    assert value(host, 9100, "node_textfile_scrape_error ") == 0
    done = [each for each in status["history"] if each["what"] in {"deploy", "rollback"}]
    last = f'slipway_activation_duration_seconds{{by="{done[-1]["by"]}",ended="done",release="{status["live"]}"'
    assert value(host, 9100, last) == done[-1]["seconds"]


@pytest.mark.parametrize(("port", "series"), [(9113, "nginx_up"), (9121, "redis_up"), (9187, "pg_up")])
def test_each_exporter_reaches_what_it_measures(host: Any, port: int, series: str) -> None:
    assert value(host, port, f"{series} ") == 1


def test_requests_are_counted_by_status_and_route_and_timed(host: Any, ask: Any) -> None:
    counted = 'nginx_requests_total{{prog="access-log.mtail",route="{}",slice="live",status="{}"}}'
    for _ in range(30):  # a tenth goes to the canary's slice
        assert ask('/"status":200,/nothing').status == 404
        assert ask("/livez").status == 200
    time.sleep(1)
    for route, status in (("", 404), ("/livez", 200)):
        assert value(host, 3903, counted.format(route, status)) > 10
    assert value(host, 3903, 'nginx_request_seconds_count{prog="access-log.mtail",route="/livez",slice="live"}') > 10


@pytest.mark.parametrize("unit", [*PORTS, "metrics"])
def test_its_exposure_is_low(host: Any, unit: str) -> None:
    lines = host.check_output(f"systemd-analyze security --no-pager {unit}.service").splitlines()
    exposure = re.search(r"exposure level .*: ([0-9.]+)", lines[-1])
    assert exposure and float(exposure[1]) <= 1.9


def test_the_database_tells_statistics_and_no_rows(host: Any) -> None:
    as_exporter = "cd /; runuser -u prometheus -- psql -At -d {} -c 'SELECT 1'"
    assert host.check_output(as_exporter.format("postgres")) == "1"
    assert "no pg_hba.conf entry" in host.run(as_exporter.format("app")).stderr
