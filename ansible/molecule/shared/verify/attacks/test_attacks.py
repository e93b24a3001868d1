"""What clients did to a host: its log filled the disk, and good releases were aborted."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from deploys import Deploy

from tools.checkout import APP_IMAGES

SECONDS = 20
AFTERWARDS_SECONDS = 15
FILE_MB, MORE_SECONDS = 64, 10
"""A log is rotated at that size. More comes until nginx-logs.timer looks again (5 s), the file before is compressed and
nginx has opened the next one; how much depends on the machine."""
ALL_MB = 1000
"""Of all files together. The older ones are compressed."""
WRK = r"""
wrk.path = "/" .. string.rep('"', 1000)
wrk.headers["Host"] = "other.example"
wrk.headers["User-Agent"] = string.rep('"', 1000)
wrk.headers["Referer"] = string.rep('"', 1000)
"""


@pytest.fixture
def no_rate_limit(host: Any) -> Iterator[None]:
    """From one address the highest rate is that of nginx_request_rate: here as if wrk had a thousand addresses."""
    values = "/etc/nginx/slipway/generated/values.conf"
    host.check_output(f"cp -p {values} /root/values.conf && sed -i '/^limit_req/d' {values} && systemctl reload nginx")
    yield
    host.check_output(f"cp -p /root/values.conf {values} && systemctl reload nginx")


def test_the_highest_rate_does_not_fill_the_disk(host: Any, no_rate_limit: None) -> None:
    host.check_output("apt-get install -qq -y --no-install-recommends wrk >/dev/null")
    host.check_output(f"cat >/root/wrk.lua <<'EOF'{WRK}EOF")
    host.check_output("rm -f /var/log/nginx/access.log.*")
    command = f"wrk --threads 2 --connections 64 --duration {SECONDS} --script /root/wrk.lua http://127.0.0.1/"
    host.check_output(f"systemd-run --quiet --collect --unit=wrk {command}")
    largest = together = written = last = 0.0
    deadline = time.monotonic() + SECONDS + AFTERWARDS_SECONDS
    while time.monotonic() < deadline:
        lines = host.check_output("stat --format='%s %n' /var/log/nginx/*").splitlines()
        sizes = {name: int(size) / 1e6 for size, name in map(str.split, lines)}
        largest = max(largest, *(size for name, size in sizes.items() if not name.endswith(".gz")))
        together = max(together, sum(sizes.values()))
        now = sizes.get("/var/log/nginx/access.log", 0.0)
        written, last = written + (now - last if now >= last else now), now
        time.sleep(0.5)
    rotated = int(host.check_output("ls /var/log/nginx | grep -c '^access.log.[0-9]'"))
    rate = written / SECONDS
    print(f"\n{rate:.0f} MB/s, largest file {largest:.0f} MB, all {together:.0f} MB, {rotated} rotated")
    assert rotated > 1, "wrk wrote too little to show anything"
    assert largest < FILE_MB + MORE_SECONDS * rate
    assert together < ALL_MB


def test_looking_often_says_nothing(host: Any) -> None:
    assert host.service("nginx-logs.timer").is_enabled
    lines = host.check_output("journalctl --unit=nginx-logs.service --no-pager --output=cat")
    assert "Finished" not in lines
    assert "Failed" not in lines
    assert host.check_output("systemctl show --property=Result --value nginx-logs.service") == "success"


def veto(address: str, ended: threading.Event, slow: list[int]) -> None:
    """Send nine quick requests and a slow one, which by round-robin the canary gets: /version tells when it did."""
    releases: list[str] = []
    with closing(http.client.HTTPConnection(address, timeout=30)) as connection:

        def get(path: str) -> bytes:
            connection.request("GET", path, headers={"Host": "localhost"})
            return connection.getresponse().read()

        while not ended.is_set():
            release = get("/version").decode()
            releases = [*releases[-50:], release]
            # The rarer of two is the canary's.
            if len(set(releases)) > 1 and releases.count(release) < len(releases) / 2:
                for _ in range(9):
                    get("/version")
                get("/slow?seconds=0.3")
                slow.append(1)


def test_no_client_vetoes_a_good_release(addresses: dict[str, str], deployer: Any, status: Any) -> None:
    ended = threading.Event()
    slow: list[int] = []
    attackers = [threading.Thread(target=veto, args=(addresses["http"], ended, slow)) for _ in range(2)]
    for attacker in attackers:
        attacker.start()
    try:
        deploy = Deploy(image=f"{APP_IMAGES}:molecule-attacker")
        assert deploy.wait() == 0, deploy.output
    finally:
        ended.set()
        for attacker in attackers:
            attacker.join()
    assert len(slow) > 5, "the attack did not happen"
