"""Upkeep and odd clients: no request fails."""

import hashlib
import http.client
import random
import time
from contextlib import closing
from typing import Any

import pytest

LOG = "/var/log/nginx/access.log"
LARGE = 20_000_000
IDLE = 2600


def rotate(host: Any, ask: Any) -> None:
    """Rotate the logs, and verify that the next request is logged to a new file."""
    before = host.check_output(f"stat --format=%i {LOG}")
    host.check_output("logrotate --force /etc/logrotate.d/nginx")
    mark = f"rotated-{time.monotonic_ns()}"
    assert ask(f"/readyz?{mark}").status == 200
    # nginx opens it when the signal has come.
    host.check_output(f"timeout 5 sh -c 'until grep -q {mark} {LOG}; do ask=1; sleep 0.2; done'")
    assert host.check_output(f"stat --format='%i %U %G %a' {LOG}") != before
    assert host.check_output(f"stat --format='%U %G %a' {LOG}") == "www-data adm 640"


def test_logs_are_rotated(load: Any, host: Any, ask: Any) -> None:
    rotate(host, ask)
    load.check()


def test_a_removed_log_is_made_again(load: Any, host: Any, ask: Any, stops: Any) -> None:
    host.check_output(f"rm {LOG} && systemctl restart nginx.service")
    assert ask("/readyz?again").status == 200
    assert "again" in host.check_output(f"tail -n 500 {LOG}")
    load.closings += stops()
    load.check()


def test_the_package_is_installed_again(load: Any, host: Any, ask: Any, stops: Any) -> None:
    host.check_output("DEBIAN_FRONTEND=noninteractive apt-get install --yes --reinstall nginx nginx-common")
    assert ask("/readyz").status == 200
    load.closings += stops()
    assert host.check_output("stat --format='%U %G %a' /var/log/nginx") == "root adm 755"
    rotate(host, ask)
    load.check()


def test_a_body_of_900_kb_arrives(load: Any, ask: Any) -> None:
    body = random.Random(1).randbytes(900_000)
    assert ask("/attacker/digest", method="POST", body=body).body.decode() == hashlib.sha256(body).hexdigest()
    load.check()


@pytest.mark.parametrize("pause", [0, 0.02], ids=["fast", "slow"])
def test_an_answer_of_20_mb_arrives(load: Any, addresses: dict[str, str], pause: float) -> None:
    """The slow one reads for about six seconds."""
    digest = hashlib.sha256()
    with closing(http.client.HTTPConnection(addresses["http"], timeout=30)) as connection:
        connection.request("GET", f"/attacker/bytes?{LARGE}", headers={"Host": "localhost"})
        response = connection.getresponse()
        while chunk := response.read(1 << 16):
            digest.update(chunk)
            time.sleep(pause)
    assert digest.hexdigest() == hashlib.sha256(random.Random(0).randbytes(LARGE)).hexdigest()
    load.check()


CROWD = f"""
import resource, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
crowd = []
for _ in range({IDLE}):
    one = socket.create_connection(("127.0.0.1", 80))
    one.send(b"GET /.slipway/generation HTTP/1.1\\r\\nHost: slipway.invalid\\r\\n\\r\\n")
    assert one.recv(4096).startswith(b"HTTP/1.1 200")
    crowd.append(one)
open("/run/crowd", "w").close()
time.sleep(60)
"""


def test_others_are_served_beside_idle_connections(load: Any, host: Any, ask: Any) -> None:
    host.check_output(
        f"rm -f /run/crowd; printf %s '{CROWD}' >/run/crowd.py; systemd-run --unit=crowd python3 /run/crowd.py"
    )
    host.check_output("timeout 30 sh -c 'until test -e /run/crowd; do sleep 0.2; done'")
    for _ in range(50):
        assert ask("/readyz").status == 200
    held = host.check_output("ss --no-header --tcp --numeric state established 'sport = :80 and dst = 127.0.0.1'")
    assert len(held.splitlines()) >= IDLE
    host.check_output("systemctl stop crowd")
    load.check()


def test_ipv4_and_ipv6_serve(load: Any, host: Any, on_host: Any) -> None:
    # Docker switches IPv6 off by the kernel's settings, which it mounts read-only.
    host.check_output("mount -o remount,rw /proc/sys && sysctl --quiet --write net.ipv6.conf.lo.disable_ipv6=0")
    for address in ("127.0.0.1", "::1"):
        request = f"c = http.client.HTTPConnection('{address}', 80); c.request('GET', '/readyz', headers={{'Host': 'localhost'}})"
        assert on_host(f"import http.client\n{request}\nprint(c.getresponse().status)") == "200"
    load.check()
