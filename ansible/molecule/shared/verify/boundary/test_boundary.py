"""Somebody who stole the deploy key attacks the host. Each way that is tried here gave something in some design before."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

RELEASE = "20260101T000000-abcdef0"
TAKEN = "/root/taken"
MANAGER = "org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager"
AUXILIARY = f"1 {RELEASE}.service 1 ExecStart 'a(sasb)' 1 /usr/bin/touch 2 /usr/bin/touch {TAKEN} false"


@pytest.fixture(autouse=True)
def nothing_was_taken(host: Any) -> Iterator[None]:
    """Whatever the attack returned, root did nothing for it."""
    yield
    assert not host.file(TAKEN).exists


@pytest.mark.parametrize(
    "unit",
    [
        f"app@{RELEASE}.service",
        f"app@{RELEASE}.timer",
        f"app@{RELEASE}.service.timer",
        f"deploy@{RELEASE}.service",
        f"migrate@{RELEASE}.service",
        f"run@{RELEASE}.service",
        f"app@{RELEASE}.slice",
        "app@x.service",
        "recover.service",
        "evil.service",
    ],
)
@pytest.mark.parametrize("mode", ["fail", "replace"])
def test_no_transient_unit_with_an_auxiliary_service(deployer: Any, unit: str, mode: str) -> None:
    call = f"busctl call {MANAGER} StartTransientUnit 'ssa(sv)a(sa(sv))' {unit} {mode} 1 Description s x {AUXILIARY}"
    answer = deployer.run(call)
    assert answer.rc != 0
    assert "denied" in answer.stderr or "fragment file" in answer.stderr


@pytest.mark.parametrize(
    "verb", ["start", "stop", "restart", "reload", "kill", "mask", "enable", "edit --full", "revert"]
)
@pytest.mark.parametrize(
    "unit", ["nginx.service", "nginx.socket", "ssh.service", "recover.service", "multi-user.target"]
)
def test_no_verb_on_a_unit_of_the_host(deployer: Any, host: Any, verb: str, unit: str) -> None:
    before = host.run(f"systemctl show --property=InvocationID,ActiveState,UnitFileState {unit}").stdout
    assert deployer.run(f"EDITOR=true systemctl --no-ask-password {verb} {unit}").rc != 0
    assert host.run(f"systemctl show --property=InvocationID,ActiveState,UnitFileState {unit}").stdout == before


@pytest.mark.parametrize(
    "unit",
    [
        "app@.service",
        "app@..service",
        "app@x.service",
        "app@-etc.service",
        f"app@{RELEASE}x.service",
        f"app@{RELEASE}-1.service",
        f"app@{RELEASE}\\x0a.service",
        f"app@{RELEASE}.mount",
        f"xapp@{RELEASE}.service",
    ],
)
def test_no_instance_with_an_odd_name(deployer: Any, unit: str) -> None:
    answer = deployer.run(f"systemctl --no-ask-password start '{unit}'")
    assert answer.rc != 0
    assert "Assertion failed" not in answer.stderr, "polkit let it through"


@pytest.mark.parametrize(
    "command",
    [
        "systemctl set-property app@$(basename $(readlink /srv/app/current)).service MemoryMax=1G",
        "systemctl link /srv/app/evil.service",
        "systemctl enable /srv/app/evil.service",
        "systemctl set-environment LD_PRELOAD=/srv/app/evil.so",
        "systemctl daemon-reload",
        "systemctl poweroff",
        "systemd-run --uid=0 touch /root/taken",
        "systemd-run --user --machine=root@ touch /root/taken",
        "systemd-creds decrypt /etc/app/secrets/EXAMPLE_SECRET -",
        "loginctl terminate-user admin",
        "hostnamectl set-hostname taken",
        "timedatectl set-ntp false",
        "crontab -l -u root",
    ],
)
def test_no_other_way_to_root(deployer: Any, command: str) -> None:
    assert deployer.run(command.replace("systemctl", "systemctl --no-ask-password", 1)).rc != 0


@pytest.fixture
def release(deployer: Any) -> Iterator[str]:
    """A release of the attacker's own making."""
    name = "20200101T000000-abcdef0"
    tree = f"/srv/app/releases/{name}"
    deployer.check_output(f"mkdir -p {tree}/.slipway && cp -a /srv/app/current/usr {tree}/ && ln -s usr/bin {tree}/bin")
    deployer.check_output(f"cp -a /srv/app/current/lib* {tree}/ && cp -a /srv/app/current/etc {tree}/")
    deployer.check_output(
        f"mkdir -p {tree}/dev {tree}/proc {tree}/run {tree}/sys {tree}/tmp {tree}/var/lib/app {tree}/var/tmp"
    )
    deployer.check_output(
        f"printf '#!/bin/sh\\nexec sleep 60\\n' > {tree}/.slipway/web && chmod +x {tree}/.slipway/web"
    )
    yield name
    deployer.run(f"systemctl --no-ask-password stop app@{name}.service app@{name}.socket")
    deployer.run(f"rm -rf {tree}")


def test_an_honest_release_of_the_attackers_starts(deployer: Any, host: Any, release: str) -> None:
    """What the next test relies on: without its link this would run, as the app's user and no more."""
    deployer.check_output(f"systemctl --no-ask-password start app@{release}.service")
    pid = host.check_output(f"systemctl show --property=MainPID --value app@{release}.service")
    assert host.check_output(f"stat --format=%U /proc/{pid}") == "app"


@pytest.mark.parametrize("link", ["run", "var/lib/app", "var/lib", "var", "etc", "tmp", "dev", "proc", ".slipway"])
def test_a_link_in_the_release_is_not_followed_by_root(deployer: Any, host: Any, release: str, link: str) -> None:
    tree = f"/srv/app/releases/{release}"
    deployer.check_output(f"rm -rf {tree}/{link} && ln -s /opt {tree}/{link}")
    before = host.check_output("find /opt")
    assert deployer.run(f"systemctl --no-ask-password start app@{release}.service").rc != 0
    assert host.check_output("find /opt") == before


def test_a_link_in_place_of_the_release_is_not_followed(deployer: Any, release: str) -> None:
    deployer.check_output(f"rm -rf /srv/app/releases/{release} && ln -s / /srv/app/releases/{release}")
    assert deployer.run(f"systemctl --no-ask-password start app@{release}.service").rc != 0


def test_forwarding_is_refused(deployer: Any, name: str) -> None:
    options = ["-F", deployer.backend.ssh_config, "-o", "BatchMode=yes", "-o", "ControlPath=none"]
    done = subprocess.run(
        ["ssh", *options, "-W", "127.0.0.1:80", f"deploy@{name}"],
        input="GET / HTTP/1.0\r\n\r\n",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "HTTP/1." not in done.stdout
    assert "prohibited" in done.stderr
