"""Updates that install themselves: no request fails."""

from collections.abc import Iterator
from typing import Any

import pytest
from clients import Load


def test_they_are_on(host: Any) -> None:
    settings = host.check_output("apt-config dump")
    assert 'APT::Periodic::Unattended-Upgrade "1";' in settings
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in settings
    # Debian and Ubuntu name the origins by different settings.
    origins = host.check_output("unattended-upgrade --dry-run --verbose 2>&1 | grep '^Allowed origins are: '")
    assert "security" in origins.lower()
    assert host.service("apt-daily-upgrade.timer").is_running


@pytest.fixture
def load(addresses: dict[str, str]) -> Iterator[Load]:
    load = Load(addresses["http"], "/readyz", keep=False)
    yield load
    load.stop()


def test_a_library_and_nginx_are_replaced_under_load(host: Any, load: Load) -> None:
    """Each call of apt ends with needrestart."""
    nginx = host.check_output("systemctl show --value --property MainPID nginx")
    release = host.check_output("readlink /srv/app/live.sock").rpartition("/")[2].removesuffix(".sock")
    before = host.check_output(f"systemctl show --value --property MainPID app@{release}")
    command = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --reinstall --quiet nginx $(dpkg-query -W -f '${Package}\\n' 'libssl3*')"
    assert host.run(f"{command} && systemctl restart nginx").rc == 0
    assert host.check_output("systemctl show --value --property MainPID nginx") != nginx
    assert host.check_output(f"systemctl show --value --property MainPID app@{release}") == before
    assert "NEEDRESTART-SVC: app@" not in host.check_output("needrestart -b -r l")
    load.stop()
    assert set(load.answers) == {"200"}, load.answers
