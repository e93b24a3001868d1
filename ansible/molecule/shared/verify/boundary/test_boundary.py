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
        f"scale@{RELEASE}:3.service",
        f"app-worker.1@{RELEASE}.service",
        f"app-worker.1@{RELEASE}.timer",
        f"job-tick@{RELEASE}.service",
        f"app@{RELEASE}.slice",
        "app@x.service",
        "recover.service",
        "evil.service",
    ],
)
def test_no_transient_unit_with_an_auxiliary_service(deployer: Any, unit: str) -> None:
    modes = ["fail", "replace"]
    call = f"busctl call {MANAGER} StartTransientUnit 'ssa(sv)a(sa(sv))' {unit} $mode 1 Description s x {AUXILIARY}"
    answer = deployer.run(f"for mode in {' '.join(modes)}; do {call} && echo allowed: $mode; done")
    assert answer.stdout == ""
    refused = [line for line in answer.stderr.splitlines() if "denied" in line or "fragment file" in line]
    assert len(refused) == len(modes), answer.stderr


@pytest.mark.parametrize(
    "unit", ["nginx.service", "nginx.socket", "ssh.service", "recover.service", "multi-user.target"]
)
def test_no_verb_on_a_unit_of_the_host(deployer: Any, host: Any, unit: str) -> None:
    verbs = ["start", "stop", "restart", "reload", "kill", "mask", "enable", "edit --full", "revert"]
    show = f"systemctl show --property=InvocationID,ActiveState,UnitFileState {unit}"
    before = host.check_output(show)
    attempt = f"EDITOR=true systemctl --no-ask-password {{0}} {unit} && echo allowed: {{0}}"
    answer = deployer.run("; ".join(attempt.format(verb) for verb in verbs))
    assert answer.stdout == ""
    assert len(answer.stderr.splitlines()) >= len(verbs), answer.stderr
    assert host.check_output(show) == before


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
        f"app@{RELEASE}:1.service",
        f"scale@{RELEASE}.service",
        f"scale@{RELEASE}:100.service",
        f"scale@{RELEASE}:1:1.service",
        "scale@none:1.service",
    ],
)
def test_no_instance_with_an_odd_name(deployer: Any, unit: str) -> None:
    answer = deployer.run(f"systemctl --no-ask-password start '{unit}'")
    assert answer.rc != 0
    assert "Assertion failed" not in answer.stderr, "polkit let it through"


@pytest.fixture
def evil_unit(deployer: Any) -> Iterator[str]:
    """A unit file of the attacker's own making, which systemd would accept."""
    path = "/srv/app/evil.service"
    lines = rf"[Service]\nExecStart=/usr/bin/touch {TAKEN}\n[Install]\nWantedBy=multi-user.target\n"
    deployer.check_output(f"printf '{lines}' > {path} && systemd-analyze verify --man=no {path}")
    yield path
    deployer.check_output(f"rm {path}")


@pytest.mark.parametrize("verb", ["link", "enable", "enable --now"])
def test_no_unit_file_of_the_attackers_own(deployer: Any, host: Any, evil_unit: str, verb: str) -> None:
    assert deployer.run(f"systemctl --no-ask-password {verb} {evil_unit}").rc != 0
    assert host.check_output("systemctl show --property=LoadState --value evil.service") == "not-found"


@pytest.mark.parametrize(
    "command",
    [
        "systemctl set-property app@$(basename $(readlink /srv/app/current)).service MemoryMax=1G",
        "systemctl set-environment LD_PRELOAD=/srv/app/evil.so",
        "systemctl daemon-reload",
        "systemctl poweroff",
        "systemd-run --uid=0 touch /root/taken",
        "systemd-run --user --machine=root@ touch /root/taken",
        "systemd-creds decrypt /etc/app/secrets/EXAMPLE_SECRET -",
        "loginctl terminate-user admin",
        "hostnamectl set-hostname taken",
        "timedatectl set-ntp false",
    ],
)
def test_no_other_way_to_root(deployer: Any, command: str) -> None:
    assert deployer.run(command.replace("systemctl", "systemctl --no-ask-password", 1)).rc != 0


def test_no_unit_runs_for_no_release(deployer: Any) -> None:
    """`none` is for the units that point traffic alone."""
    for unit in ("app@none.service", "deploy@none.service", "seal@none.service", "remove@none.service"):
        answer = deployer.run(f"systemctl --no-ask-password start {unit}")
        assert "denied" in answer.stderr or "authentication required" in answer.stderr.lower(), (unit, answer.stderr)


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
