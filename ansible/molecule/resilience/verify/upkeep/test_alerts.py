"""Somebody is told: by a real webhook and a real mail server on the host, each kind caused for real."""

import importlib.util
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deploys import HOSTS, NAME, SCENARIO, Deploy, run_playbook

from tools.checkout import APP_IMAGES

FOLDER = "/opt/receivers"
TO = [
    {"kind": "json", "url": "http://127.0.0.1:8025/json/T0KEN"},
    {"kind": "mail", "to": "ops@example.com", "url": "smtp://127.0.0.1:2525"},
    {"kind": "heartbeat", "url": "http://127.0.0.1:8025/heartbeat/T0KEN"},
]
SECONDS = 60


def packages() -> list[Path]:
    """The mail server and what it needs: the host has none."""
    specs = [importlib.util.find_spec(name) for name in ("aiosmtpd", "public", "attr", "attrs")]
    return [Path(str(spec.origin)).parent for spec in specs if spec]


@dataclass
class Alerts:
    """The host's alerts, and what the receivers got."""

    host: Any

    def provision(self, to: list[dict[str, str]]) -> None:
        done = run_playbook("--extra-vars", json.dumps({"alerts_to": to}), str(SCENARIO / "alerts.yml"))
        assert done.returncode == 0, done.stdout + done.stderr

    def listen(self) -> None:
        self.host.check_output(
            f"systemctl is-active --quiet receivers || systemd-run --quiet --collect --unit=receivers --setenv=PYTHONPATH={FOLDER}"
            f" python3 {FOLDER}/receivers.py {FOLDER}/got.jsonl"
        )
        ports = "ss -Hltn | grep -c -e :8025 -e :2525"
        self.host.check_output(f"for i in $(seq 100); do [ $({ports}) = 2 ] && exit; sleep 0.1; done; exit 1")

    def hush(self) -> None:
        self.host.check_output("systemctl stop receivers")

    def check(self, times: int = 1) -> None:
        for _ in range(times):
            self.host.check_output("systemctl start alerts.service")

    def bodies(self, by: str) -> list[str]:
        lines = self.host.check_output(f"cat {FOLDER}/got.jsonl 2>/dev/null || true").splitlines()
        return [each["body"] for each in map(json.loads, lines) if each["by"] == by]

    def got(self, key: str) -> list[str]:
        """What the webhook was told of this: begin, over."""
        return [each["event"] for each in map(json.loads, self.bodies("json")) if each["key"] == key]

    def mails(self, words: str) -> list[str]:
        return [each for each in self.bodies("mail") if words in each]

    def until(self, key: str, events: list[str]) -> None:
        deadline = time.monotonic() + SECONDS
        while (got := self.got(key)) != events:
            assert time.monotonic() < deadline, f"{key}: {got}; {self.host.check_output('journalctl -u alerts -n 50')}"
            time.sleep(0.5)

    def begins_and_ends(self, key: str, end: Callable[[], Any]) -> None:
        """It is told once, and once more after `end`."""
        self.check(2)
        assert self.got(key)[-1:] == ["begin"]
        count = len(self.got(key))
        self.check(2)
        assert len(self.got(key)) == count
        end()
        self.check(2)
        assert self.got(key)[count - 1 :] == ["begin", "over"]


@pytest.fixture(scope="module")
def alerts(host: Any) -> Iterator[Alerts]:
    """Alerts to a webhook and by mail, until the module ends."""
    alerts = Alerts(host)
    host.check_output(f"mkdir -p {FOLDER}")
    sources = [*packages(), Path(__file__).with_name("receivers.py")]
    files = [word for path in sources for word in ("-C", str(path.parent), path.name)]
    packed = subprocess.run(["tar", "-c", "--exclude=*.so", *files], capture_output=True, check=True).stdout
    ssh = ["ssh", "-F", str(HOSTS / NAME / "ssh_config"), NAME]
    subprocess.run([*ssh, f"sudo tar -x -C {FOLDER}"], input=packed, check=True, timeout=60)
    alerts.listen()
    alerts.provision(TO)
    # The test calls each check: by its timer one could come between two lines.
    host.check_output("systemctl stop alerts.timer")
    yield alerts
    # The next site.yml removes the rest.
    host.check_output(f"systemctl stop receivers; rm -rf {FOLDER} /etc/systemd/system/service.d/50-slipway-alerts.conf")
    host.check_output("systemctl daemon-reload")


@pytest.fixture
def unit(host: Any) -> Iterator[str]:
    """A service that fails when it is started; what a backup would be."""
    host.check_output(
        "printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n' >/run/systemd/system/nightly-copy.service"
    )
    host.check_output("systemctl daemon-reload")
    yield "nightly-copy.service"
    host.run("systemctl stop nightly-copy; systemctl reset-failed nightly-copy")
    host.check_output("rm -f /run/systemd/system/nightly-copy.service; systemctl daemon-reload")


def test_a_service_that_fails_is_told_at_once_once_and_when_it_is_over(host: Any, alerts: Alerts, unit: str) -> None:
    host.run(f"systemctl start {unit}")
    alerts.until(f"unit:{unit}", ["begin"])  # by OnFailure=: no timer runs
    alerts.check(3)
    assert alerts.got(f"unit:{unit}") == ["begin"]
    [mail] = alerts.mails(unit)
    assert mail.startswith("ALERT [")
    assert f"next: journalctl -u {unit}" in mail
    host.check_output(f"systemctl reset-failed {unit}")
    alerts.check(2)
    assert alerts.got(f"unit:{unit}") == ["begin", "over"]
    assert len(alerts.mails(unit)) == 2


@pytest.mark.catalogue
def test_receivers_that_are_down_get_it_later_once(host: Any, alerts: Alerts, unit: str) -> None:
    before = alerts.got(f"unit:{unit}"), len(alerts.mails(unit))
    alerts.hush()
    host.run(f"systemctl start {unit}")
    host.check_output("systemctl is-active alerts.service | grep -qx activating && sleep 3; true")
    alerts.check(2)
    state = "/var/lib/slipway-alerts/state.json"
    waiting = json.loads(host.check_output(f"cat {state}"))["queues"]
    assert [len(each["messages"]) for each in waiting.values()] == [1, 1]
    alerts.listen()
    host.check_output(f'sed -i -E \'s/"next_at": [0-9.]+/"next_at": 0/g\' {state}')  # the wait is over
    alerts.check(2)
    assert alerts.got(f"unit:{unit}") == [*before[0], "begin"]
    assert len(alerts.mails(unit)) == before[1] + 1
    host.check_output(f"systemctl reset-failed {unit}")
    alerts.check(2)


def test_a_webhooks_url_is_a_secret(host: Any, deployer: Any, alerts: Alerts) -> None:
    alerts.check()
    for command in (
        "journalctl --no-pager",
        "journalctl --no-pager --namespace=+app",
        "systemctl show alerts.service",
        "systemctl cat alerts.service",
        "cat /var/lib/slipway-alerts/state.json",
    ):
        assert "T0KEN" not in host.check_output(command), command
    assert host.check_output("stat -c '%a %U' /etc/slipway/alerts.json") == "600 root"
    assert deployer.run("cat /etc/slipway/alerts.json").rc != 0
    assert deployer.run("ls /var/lib/slipway-alerts").rc != 0


def test_a_site_that_is_down_and_its_heartbeat(host: Any, alerts: Alerts) -> None:
    beats = len(alerts.bodies("heartbeat"))
    alerts.check()
    assert len(alerts.bodies("heartbeat")) == beats + 1
    host.check_output("systemctl stop nginx.socket nginx.service")
    alerts.begins_and_ends("site", lambda: host.check_output("systemctl start nginx.socket nginx.service"))
    assert len(alerts.bodies("heartbeat")) == beats + 1 + 2, "the two looks after its end"


@pytest.mark.catalogue
def test_a_deploy_that_fails_and_one_that_works(alerts: Alerts) -> None:
    assert Deploy(image=f"{APP_IMAGES}:molecule-broken").wait() != 0
    alerts.begins_and_ends("deploy", lambda: Deploy(image=f"{APP_IMAGES}:molecule-attacker").wait())


@pytest.mark.catalogue
def test_a_pending_reboot(host: Any, alerts: Alerts) -> None:
    host.check_output("echo linux-image >/run/reboot-required.pkgs; touch /run/reboot-required")
    alerts.begins_and_ends("reboot", lambda: host.check_output("rm /run/reboot-required*"))


@pytest.mark.catalogue
@pytest.mark.parametrize(
    "full",
    [
        "fallocate -l 15700k /var/lib/app/full",
        "touch /var/lib/app/$(seq -s ' /var/lib/app/' 19)",
    ],
)
def test_a_disk_that_is_nearly_full(host: Any, alerts: Alerts, full: str) -> None:
    host.check_output("mount -t tmpfs -o size=16m,nr_inodes=20 none /var/lib/app")
    try:
        host.check_output(full)
        alerts.begins_and_ends(
            "disk:/var/lib/app",
            lambda: host.check_output("find /var/lib/app -mindepth 1 -delete"),
        )
    finally:
        host.check_output("umount --lazy /var/lib/app")


@pytest.mark.catalogue
def test_a_service_that_restarts_too_often(host: Any, alerts: Alerts) -> None:
    run = "systemd-run --quiet --collect --unit=loops -p Restart=always -p RestartSec=0.1 -p StartLimitIntervalSec=0 /bin/false"
    host.check_output(f"{run}; sleep 3; systemctl stop loops")
    alerts.check()
    assert alerts.got("restarts:loops.service") == ["begin"]


@pytest.mark.catalogue
def test_drift(host: Any, alerts: Alerts) -> None:
    def changed(command: str) -> None:
        host.check_output(f"{command}; systemctl start drift.service")

    changed("echo '#' >/etc/nginx/site.d/http-foreign.conf")
    alerts.begins_and_ends(
        "drift",
        lambda: changed("rm /etc/nginx/site.d/http-foreign.conf; /usr/local/lib/slipway/drift --accept"),
    )


@pytest.mark.catalogue
def test_off_again_leaves_nothing(host: Any, alerts: Alerts) -> None:
    alerts.provision([])
    assert host.run("systemctl cat alerts.service").rc != 0
    assert "alerts" not in host.check_output("systemctl show --property=OnFailure nginx.service")
    assert not host.file("/etc/slipway/alerts.json").exists
