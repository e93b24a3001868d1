"""Crashes and bad configurations: the ports stay open, requests wait, and the error is reported."""

import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deploys import examples

ROOT = Path(__file__).resolve().parents[5]
BAD = "/etc/nginx/site.d/http-bad.conf"
CRASHES = 10


def test_ten_crashes(load: Any, host: Any, ask: Any) -> None:
    kill = "date +%s.%N; systemctl kill --signal=KILL nginx.service; date +%s.%N; sleep 0.5"
    times = [float(word) for word in host.check_output(f"for n in $(seq {CRASHES}); do {kill}; done").split()]
    load.crashes += zip(times[::2], times[1::2], strict=True)
    assert host.check_output("systemctl is-active nginx.socket") == "active"
    assert ask("/readyz").status == 200
    # Nobody was refused, and nobody failed but those whose request was under way when nginx died.
    cut = load.check()
    print(f"{CRASHES} crashes in {times[-1] - times[0]:.1f} s cut {cut} requests")


def test_a_bad_configuration_at_a_restart(
    load: Any, host: Any, ask: Any, addresses: dict[str, str], stops: Callable[..., list[float]]
) -> None:
    host.check_output(f"echo 'no_such_thing;' >{BAD}; systemctl restart nginx.service; sleep 3")
    assert host.check_output("systemctl is-active nginx.socket") == "active"
    where, _, port = addresses["http"].partition(":")
    with socket.create_connection((where, int(port)), 5) as waits:
        waits.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        waits.settimeout(1)
        with pytest.raises(TimeoutError):
            waits.recv(1)
    host.check_output(f"rm {BAD}")
    assert ask("/readyz").status == 200
    load.closings += stops()
    load.check(max_gap=20)


@pytest.fixture
def with_site_d(tmp_path: Path) -> Callable[[str], str]:
    """A tree like this one, with an addition of the adopter's to nginx; returns where it is."""

    def make(text: str) -> str:
        for entry in ROOT.iterdir():
            if entry.name != "nginx":
                (tmp_path / entry.name).symlink_to(entry)
        shutil.copytree(ROOT / "nginx", tmp_path / "nginx")
        (tmp_path / "nginx/site.d/http-own.conf").write_text(text)
        return str(tmp_path)

    return make


def test_a_listener_that_systemd_does_not_hold_is_refused(host: Any, with_site_d: Any, provision_nginx: Any) -> None:
    """It would pass `nginx -t`; the running nginx may not open the port."""
    before = host.check_output("find /etc/nginx -type f | sort | xargs sha256sum")
    done = provision_nginx(slipway_root=with_site_d("server { listen 8081; return 204; }"))
    assert done.returncode != 0
    assert "`listen 0.0.0.0:8081`, but the ports belong to systemd" in " ".join(done.stdout.split())
    assert host.check_output("find /etc/nginx -type f | sort | xargs sha256sum") == before


def test_a_configuration_that_was_not_loaded_is_noticed(
    load: Any, host: Any, ask: Any, with_site_d: Any, provision_nginx: Any
) -> None:
    """A zone whose key has changed: `nginx -t` finds nothing wrong, and HUP leaves the old configuration."""
    zone = "limit_req_zone {} zone=own:1m rate=1000r/s;"
    here = f"echo '{zone.format('$binary_remote_addr')}' >{BAD.replace('bad', 'own')}"
    load.closings.append(float(host.check_output(f"{here} && date +%s.%N && systemctl reload nginx; sleep 1")))
    done = provision_nginx(slipway_root=with_site_d(zone.format("$server_name")))
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "did not load the installed configuration (generation" in said
    assert 'limit_req "own" uses the "$server_name" key' in said
    assert ask("/readyz").status == 200
    load.check(max_gap=20)  # of the same load: the silence of the test before is in it


@pytest.mark.parametrize("play", examples(("provision", "provision_nginx"), "provision_nginx"))
def test_site_repairs_it(
    load: Any, host: Any, ask: Any, stops: Callable[..., list[float]], request: pytest.FixtureRequest, play: str
) -> None:
    """What nginx did not load is removed, and so is a file that keeps nginx from starting."""
    host.check_output(f"echo 'no_such_thing;' >{BAD}; systemctl restart nginx.service; sleep 1")
    done = request.getfixturevalue(play)()
    assert done.returncode == 0, done.stdout
    assert host.run("ls /etc/nginx/site.d/*.conf").rc != 0
    assert ask("/readyz").status == 200
    load.closings += stops() + stops("SIGHUP")
    load.check(max_gap=60)
