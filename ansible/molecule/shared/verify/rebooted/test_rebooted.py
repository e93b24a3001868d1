"""A host that restarts in the middle of a deploy comes back by itself, with a release that was healthy."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from deploys import Deploy, Site, examples

from tools.checkout import container


@pytest.mark.parametrize("phase", examples(["migrate", "probe", "watch-canary", "watch", "retire"], "watch"))
def test_the_host_restarts(deployer: Any, docker: str, name: str, phase: str, ask: Callable[..., Any]) -> None:
    site = Site(deployer)
    old = site.status()["live"]
    deploy = Deploy("migration-slow" if phase == "migrate" else "")
    status = site.until(lambda status: any(each["phase"] == phase for each in status["releases"]))
    new = next(each["release"] for each in status["releases"] if each["phase"] == phase)
    subprocess.run([docker, "restart", container(name)], check=True, capture_output=True)
    deploy.wait()
    status = site.until(lambda status: status["state"] == "healthy")
    assert status["live"] in ({new, old} if phase in {"watch", "retire"} else {old})
    assert ask("/version").json["release"] == status["live"]
    site.heals()


FAILS_ONCE = """
mkdir -p /run/systemd/system/recover.service.d
printf '[Service]\\nExecStartPre=+/bin/sh -c "! rm /run/fails-once"\\n' >/run/systemd/system/recover.service.d/90-test.conf
touch /run/fails-once
systemctl daemon-reload
"""


def test_a_recovery_that_fails_at_boot_is_tried_again(deployer: Any, host: Any) -> None:
    """As where a boot is so slow that systemd ends it."""
    site = Site(deployer)
    live = site.status()["live"]
    host.check_output(FAILS_ONCE)
    try:
        host.check_output(f"systemctl stop app@{live}.socket app@{live}.service")
        assert host.run("systemctl start recover.service").rc != 0
        site.until(lambda status: status["state"] == "healthy" and status["live"] == live)
    finally:
        host.check_output("rm /run/systemd/system/recover.service.d/90-test.conf && systemctl daemon-reload")
