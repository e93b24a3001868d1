"""A disk that is full, or that gets full while a release arrives: nothing is left of it, and the next deploy succeeds.

A small tmpfs over the releases stands for a small disk: filling the machine's own would end more than the test.
"""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from deploys import IMAGE, Deploy, Site

pytestmark = pytest.mark.usefixtures("brief_watch")

LARGE = f"{IMAGE}-large"
LARGE_FILE = "ballast"
MEBIBYTES = 150
"""Of that file, random, so that it takes seconds to arrive."""
SMALL = """
mkdir -p /mnt/small /mnt/whole
mount -t tmpfs -o size=1g,mode=755 small /mnt/small
cp -a /srv/app/releases/. /mnt/small
chown deploy:deploy /mnt/small
mount --bind --make-private /srv/app /mnt/whole
mount --bind /mnt/small /srv/app/releases
"""
WHOLE_AGAIN = """
rsync -aH --delete /srv/app/releases/ /mnt/whole/releases/
umount --lazy /srv/app/releases /mnt/small
umount /mnt/whole
"""
FREE = "$(df --output=avail -B1M /srv/app/releases | tail -n 1)"
FILL = f"""
fallocate -l $(({FREE} * 9 / 10))M /srv/app/releases/.filler
dd if=/dev/zero of=/srv/app/releases/.filler bs=1M oflag=append conv=notrunc status=none || true
"""
FILL_MEANWHILE = f"""
for i in $(seq 3000); do ls /srv/app/releases/.*.partial/.{LARGE_FILE}.* >/dev/null 2>&1 && break; sleep 0.02; done
pkill -STOP -u deploy -x rsync
{FILL}
pkill -CONT -u deploy -x rsync
"""
"""While a release arrives: it waits, since filling takes longer than the rest of it on a fast machine."""


@pytest.fixture(scope="module")
def site(host: Any, deployer: Any) -> Iterator[Site]:
    """The host, with a small disk."""
    run(host, SMALL)
    yield Site(deployer)
    run(host, WHOLE_AGAIN)


@pytest.fixture
def filler(host: Any) -> Iterator[None]:
    """What fills the disk goes in the end."""
    yield
    host.run("rm -f /srv/app/releases/.filler")


@pytest.fixture(scope="module")
def large(docker: str) -> str:
    """An image that takes seconds to ship."""
    recipe = f"FROM {IMAGE}\nUSER 0\nRUN head -c {MEBIBYTES}M /dev/urandom > /{LARGE_FILE}\nUSER 10001\n"
    command = [docker, "build", f"--tag={LARGE}", "-"]
    subprocess.run(command, input=recipe, text=True, check=True, capture_output=True)
    return LARGE


def run(host: Any, program: str) -> None:
    host.check_output("sh -euc %s", program)


def test_the_disk_gets_full_while_a_release_arrives(host: Any, site: Site, large: str, filler: None) -> None:
    before = site.status()
    deploy = Deploy(image=large)
    run(host, FILL_MEANWHILE)
    assert deploy.wait() != 0
    assert "No space left on device" in deploy.output
    after = site.status()
    assert after["live"] == before["live"]
    assert [each["release"] for each in after["releases"]] == [each["release"] for each in before["releases"]]
    left = host.check_output("ls -A /srv/app/releases").split()
    assert not [name for name in left if "partial" in name or "manifest" in name]


def test_a_full_disk_is_told_before_anything_is_written(host: Any, site: Site, filler: None) -> None:
    before = site.status()
    run(host, FILL)
    deploy = Deploy()
    assert deploy.wait() != 0
    assert "not enough room on /srv/app" in deploy.output
    after = site.status()
    assert (after["state"], after["live"]) == ("unhealthy", before["live"])
    assert "the disk of /srv/app/releases is full (0 MiB" in after["problem"]


def test_a_release_with_new_code_needs_no_room_for_its_whole_image(host: Any, site: Site, filler: None) -> None:
    run(host, f"fallocate -l $(({FREE} - 140))M /srv/app/releases/.filler")
    site.heals()


@pytest.mark.catalogue  # the test before has one, with little room
def test_the_next_deploy_succeeds(site: Site) -> None:
    site.heals()


def test_a_rollback_works_on_a_full_disk(host: Any, site: Site, deployer: Any, filler: None) -> None:
    before = site.status()
    run(host, FILL)
    done = deployer.run("slipway rollback")
    assert done.rc == 0, done.stderr
    assert "the disk is full: gave up the 32 MiB that were kept for this" in done.stderr
    assert site.status()["live"] == before["rollback_target"]
