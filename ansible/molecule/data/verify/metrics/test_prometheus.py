"""A real Prometheus, Debian's, that scrapes the host: the dashboard and the alert rules name series that exist."""

import json
import re
import shlex
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from deploys import ANSIBLE, SCENARIO, run_playbook

pytestmark = pytest.mark.catalogue

FILES = ANSIBLE / "roles/metrics/files"
PLAYBOOK = str(SCENARIO / "metrics.yml")
FOLDER = "/root/prometheus"
# systemd's mask keeps the package from starting a server on every address.
INSTALL = f"""
set -e
mkdir -p {FOLDER}
systemctl mask --quiet prometheus.service
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends prometheus
promtool check config {FOLDER}/prometheus.yml
cd {FOLDER}
systemd-run --quiet --unit=tested-prometheus prometheus --config.file={FOLDER}/prometheus.yml \\
    --storage.tsdb.path={FOLDER}/data --web.listen-address=127.0.0.1:9090
"""
# What a host has only with a certificate of its own: one that is served on another port.
CERTIFICATE = f"""
set -e
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 90 \\
    -keyout {FOLDER}/key.pem -out {FOLDER}/certificate.pem 2>/dev/null
systemd-run --quiet --unit=tested-tls openssl s_server -quiet -accept 8443 -key {FOLDER}/key.pem -cert {FOLDER}/certificate.pem
mkdir -p /run/systemd/system/metrics.service.d
printf '[Service]\\nEnvironment=HTTPS_PORT=8443\\n' >/run/systemd/system/metrics.service.d/90-tested.conf
systemctl daemon-reload
sleep 1
systemctl start metrics.service
"""
REMOVE = f"""
systemctl stop tested-prometheus tested-tls
apt-get purge -y -q prometheus
systemctl unmask --quiet prometheus.service
rm -rf {FOLDER} /run/systemd/system/metrics.service.d
systemctl daemon-reload
"""
A_FAILURE = '{"time":1,"uri":"/","status":502,"bytes":0,"seconds":0.1,"slice":"live","route":"/","upstream_addr":""}'
QUERIES = """
import json, sys, urllib.parse, urllib.request
def result(expression):
    url = "http://127.0.0.1:9090/api/v1/query?query=" + urllib.parse.quote(expression)
    return json.load(urllib.request.urlopen(url, timeout=30))["data"]["result"]
print(json.dumps({each: result(each) for each in json.loads(sys.argv[1])}))
"""
WORDS = re.compile(r"\b(?:slipway|nginx|node|pg|redis)_[a-z_]+\b")


def names(expression: str) -> set[str]:
    """Return the names of the series in an expression."""
    return set(WORDS.findall(re.sub(r'"[^"]*"', "", expression)))


def expressions() -> list[str]:
    """Return the expressions of the dashboard, as Grafana asks them for all hosts."""
    board = json.loads((FILES / "dashboard.json").read_text())
    found = [each["expr"] for panel in board["panels"] for each in panel.get("targets", [])]
    found += [each["expr"] for each in board["annotations"]["list"]]
    return [each.replace("${host:regex}", ".*").replace("$__rate_interval", "2m") for each in found]


Ask = Callable[[Iterable[str]], dict[str, list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def ask(host: Any) -> Iterator[Ask]:
    """Ask Prometheus for the results of expressions, once each exporter has been scraped for a while."""

    def results(expressions: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        answered: dict[str, list[dict[str, Any]]] = json.loads(
            host.check_output(f"python3 -c {shlex.quote(QUERIES)} {shlex.quote(json.dumps(sorted(expressions)))}")
        )
        return answered

    files = {"prometheus.yml": FILES, "rules.yml": FILES, "rules_test.yml": Path(__file__).parent}
    for name, folder in files.items():
        text = (folder / name).read_text()
        host.check_output(f"mkdir -p {FOLDER} && cat >{FOLDER}/{name} <<'END OF FILE'\n{text}\nEND OF FILE")
    host.check_output(f"echo '{A_FAILURE}' >>/var/log/nginx/access.log")
    for script in (INSTALL, CERTIFICATE):
        done = host.run(script)
        assert done.rc == 0, done.stdout + done.stderr
    ready, deadline = "sum_over_time(up[5m]) > 2", time.monotonic() + 240
    while len(results([ready])[ready]) < 5:
        assert time.monotonic() < deadline, results(["up"])
        time.sleep(3)
    yield results
    done = host.run(REMOVE)
    assert done.rc == 0, done.stdout + done.stderr


def missing(ask: Ask, expressions: Iterable[str]) -> set[str]:
    """Return the expressions without a result. On a busy machine a scrape fails now and then, so each gets some time."""
    left, deadline = set(expressions), time.monotonic() + 90
    while (left := {each for each, found in ask(left).items() if not found}) and time.monotonic() < deadline:
        time.sleep(5)
    return left


def test_every_panel_and_the_annotations_show_something(ask: Ask) -> None:
    assert missing(ask, expressions()) == set()


def test_every_series_of_the_rules_exists(ask: Ask) -> None:
    found = re.findall(r"(?ms)expr: (.*?)^ {8}\w", (FILES / "rules.yml").read_text())
    wanted = set().union(*map(names, found))
    assert len(wanted) > 15
    assert missing(ask, wanted) == set()


def test_a_deploy_is_annotated_at_its_end(ask: Ask, status: Any) -> None:
    last = [each for each in status["history"] if each["what"] in {"deploy", "rollback"}][-1]
    expression = f'slipway_activation_timestamp_seconds{{release="{last["release"]}",ended="done",by="{last["by"]}"}}'
    assert missing(ask, [expression]) == set()
    moment = float(ask([expression])[expression][0]["value"][1])
    assert moment == pytest.approx(datetime.fromisoformat(last["at"]).timestamp(), abs=0.01)


def test_the_rules_fire_where_they_should(host: Any, ask: Ask) -> None:
    done = host.run(f"promtool test rules {FOLDER}/rules_test.yml")
    assert done.rc == 0, done.stdout + done.stderr


def reached(address: str) -> bool:
    try:
        socket.create_connection((address, 9100), 5).close()
    except OSError:
        return False
    return True


def test_scrapers_reach_the_exporters_and_nobody_else_whatever_the_firewall_is(host: Any) -> None:
    address = host.check_output("hostname -I").split()[0]
    here = host.check_output("ip -4 route show default").split()[2]
    host.check_output("nft insert rule inet slipway_firewall input tcp dport 9100 accept")
    try:
        for scraper, is_let_in in ((here, True), ("192.0.2.1", False)):
            variables = {"metrics_address": address, "metrics_scrapers": [scraper]}
            done = run_playbook(f"--extra-vars={json.dumps(variables)}", PLAYBOOK)
            assert done.returncode == 0, done.stdout + done.stderr
            assert reached(address) == is_let_in
    finally:
        done = run_playbook(PLAYBOOK)
        host.check_output("nft --file /etc/slipway/firewall.nft")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not reached(address)


def test_off_again_leaves_nothing_and_keeps_what_is_not_slipways(host: Any) -> None:
    drop_ins = "/etc/systemd/system/prometheus-redis-exporter.service.d"
    host.check_output(f"mv {drop_ins} /root/")  # as if somebody else had installed this exporter
    try:
        done = run_playbook("--extra-vars={metrics_enabled: false}", PLAYBOOK)
        assert done.returncode == 0, done.stdout + done.stderr
        listening = host.check_output("ss --no-header --listening --tcp --numeric")
        assert [port for port in (9100, 9113, 9187, 3903) if f":{port} " in listening] == []
        left = host.run(
            "find /etc/systemd/system /etc/slipway -type f | grep -E '/(metrics|mtail|prometheus-|access-log)'"
        ).stdout
        assert left == ""
        assert host.run("dpkg --status mtail").rc != 0
        assert host.package("prometheus-redis-exporter").is_installed
    finally:
        host.run(f"rmdir {drop_ins}; mv /root/{drop_ins.rpartition('/')[2]} {drop_ins}; systemctl daemon-reload")
        done = run_playbook(PLAYBOOK)
    assert done.returncode == 0, done.stdout + done.stderr
