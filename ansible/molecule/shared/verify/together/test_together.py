"""Several hosts: all serve the new release, or all serve the old one. Told in the order in which it happens."""

import re
import subprocess
import time
from collections.abc import Iterator

import pytest
import testinfra
from deploys import HOSTS, SCENARIO, Deploy, Site

from tools.checkout import container

NAMES = [f"molecule-hosts-{number}" for number in (1, 2, 3)]
DOCKER = "/usr/bin/docker"


def deploy(fault: str = "", *more: str) -> Deploy:
    """Deploy to all of them."""
    return Deploy(fault, hosts=NAMES, more=[f"--extra-vars=@{SCENARIO}/vars/site.yml", *more])


@pytest.fixture(scope="session")
def sites() -> dict[str, Site]:
    """The hosts, as `deploy` sees them."""
    return {
        name: Site(testinfra.get_host(f"ssh://deploy@{name}", ssh_config=str(HOSTS / name / "ssh_config")))
        for name in NAMES
    }


def live(sites: dict[str, Site]) -> list[str]:
    """What is live on each, once each is healthy."""
    return [site.until(lambda status: status["state"] == "healthy")["live"] for site in sites.values()]


def migrated(sites: dict[str, Site], release: str) -> list[str]:
    """The hosts that ran the migrations of a release."""
    command = f"journalctl --namespace=app --quiet --output=cat --unit=migrate@{release}.service"
    return [name for name, site in sites.items() if site.deployer.check_output(command).strip()]


@pytest.fixture
def broken(sites: dict[str, Site]) -> Iterator[str]:
    """The second host is the one where the fault shows."""
    name = NAMES[1]
    on_host("touch /var/lib/app/broken && chmod a+r /var/lib/app/broken", name)
    yield name
    on_host("rm /var/lib/app/broken", name)


def on_host(program: str, name: str) -> None:
    subprocess.run([DOCKER, "exec", container(name), "sh", "-ec", program], check=True)


def test_all_of_them_serve_the_first_release(sites: dict[str, Site]) -> None:
    (release,) = set(live(sites))
    assert migrated(sites, release) == NAMES[:1], "the migrations ran on one host, once"


@pytest.mark.catalogue
@pytest.mark.parametrize("serial", [0, 1])
def test_a_deploy_reaches_all_of_them(sites: dict[str, Site], serial: int) -> None:
    (before,) = set(live(sites))
    run = deploy("", f"--extra-vars=release_serial={serial}")
    assert run.wait() == 0, run.output
    (after,) = set(live(sites))
    assert after != before
    assert migrated(sites, after) == NAMES[:1]
    assert {site.status()["rollback_target"] for site in sites.values()} == {before}


@pytest.mark.parametrize("serial", [pytest.param(0, marks=pytest.mark.catalogue), 1])
def test_a_failure_on_one_takes_all_of_them_back(sites: dict[str, Site], broken: str, serial: int) -> None:
    (before,) = set(live(sites))
    run = deploy("on-one-host", f"--extra-vars=release_serial={serial}")
    assert run.wait() != 0
    assert "the licence of this host has expired" in run.output
    assert set(live(sites)) == {before}
    for site in sites.values():
        # Nobody waits for an old instance's last answers.
        site.until(lambda status, site=site: site.running() == {before})  # type: ignore[misc]
    first = sites[NAMES[0]].status()
    assert first["releases"][0]["cause"].startswith("hold: the deploy failed on another host")


def looks(name: str, times: int) -> str:
    """What the alerts of a host tell after so many looks."""
    on_host(f"for i in $(seq {times}); do systemctl start alerts.service; done", name)
    journal = ["journalctl", "--unit=alerts", "--output=cat", "--no-pager"]
    return subprocess.run(
        [DOCKER, "exec", container(name), *journal], capture_output=True, text=True, check=True
    ).stdout


def test_a_host_that_is_dead_is_told_by_the_others(sites: dict[str, Site]) -> None:
    first, second, third = NAMES
    assert "does not answer" not in looks(first, 2)
    subprocess.run([DOCKER, "pause", container(third)], check=True, capture_output=True)
    try:
        told = {name: looks(name, 2) for name in (first, second)}
    finally:
        subprocess.run([DOCKER, "unpause", container(third)], check=True, capture_output=True)
    for text in told.values():
        assert f"{third} does not answer" in text
        assert f"{first} does not" not in text
        assert f"{second} does not" not in text
    assert re.search(rf"^OK \[.*\] {third} does not answer$", looks(first, 2), re.MULTILINE)


@pytest.mark.catalogue
def test_a_controller_that_is_gone_leaves_them_healthy(sites: dict[str, Site]) -> None:
    (before,) = set(live(sites))
    run = deploy("", "--extra-vars=release_serial=1", "--extra-vars=release_hold_seconds=15")
    sites[NAMES[0]].until(lambda status: status["releases"][0]["request"].get("state") == "held")
    run.kill()
    time.sleep(1)
    for site in sites.values():
        site.until(lambda status: status["state"] == "healthy" and status["live"] == before)
    run = deploy()
    assert run.wait() == 0, run.output
    (after,) = set(live(sites))
    assert after != before


@pytest.mark.catalogue
def test_a_host_that_is_down_is_named_before_anything_starts(sites: dict[str, Site]) -> None:
    (before,) = set(live(sites))
    subprocess.run([DOCKER, "stop", container(NAMES[2])], check=True, capture_output=True)
    try:
        run = deploy()
        assert run.wait() != 0
        assert f"{NAMES[2]} cannot be reached" in run.output
        assert "release_allow_missing=true" in run.output
        assert [sites[name].status()["live"] for name in NAMES[:2]] == [before, before]

        run = deploy("", "--extra-vars=release_allow_missing=true")
        assert run.wait() == 0, run.output
        assert f"Not deployed, since unreachable: {NAMES[2]}" in run.output
    finally:
        subprocess.run([DOCKER, "start", container(NAMES[2])], check=True, capture_output=True)
    deadline = time.monotonic() + 60
    while subprocess.run(_ssh(NAMES[2]), capture_output=True, check=False).returncode:
        assert time.monotonic() < deadline
        time.sleep(1)
    assert len(set(live(sites))) == 2, "the one that was down serves what it had"


@pytest.mark.catalogue
def test_the_next_deploy_brings_them_together(sites: dict[str, Site]) -> None:
    run = deploy()
    assert run.wait() == 0, run.output
    assert len(set(live(sites))) == 1


def _ssh(name: str) -> list[str]:
    return ["ssh", "-F", str(HOSTS / name / "ssh_config"), f"deploy@{name}", "true"]
