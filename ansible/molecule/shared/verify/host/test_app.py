"""What the app gets, and what it may do."""

import re
from typing import Any

import pytest


@pytest.fixture
def unit(status: Any) -> str:
    return f"app@{status['live']}.service"


@pytest.fixture
def inside(host: Any, unit: str) -> str:
    """Enter the running app: its files, its network, its user."""
    pid = host.check_output(f"systemctl show --property=MainPID --value {unit}")
    user = host.check_output("id -u app")
    return f"nsenter --target {pid} --mount --net --root --wd=/ --setuid {user} --setgid {user} --"


def test_it_runs_as_its_own_user(host: Any, unit: str) -> None:
    pid = host.check_output(f"systemctl show --property=MainPID --value {unit}")
    assert host.check_output(f"stat --format=%U /proc/{pid}") == "app"


def test_its_exposure_is_low(host: Any, unit: str) -> None:
    lines = host.check_output(f"systemd-analyze security --no-pager {unit}").splitlines()
    exposure = re.search(r"exposure level .*: ([0-9.]+)", lines[-1])
    assert exposure and float(exposure[1]) <= 0.4


def test_no_line_of_a_talkative_app_is_lost(deployer: Any) -> None:
    """In a second. journald's own limit allows 10,000 in thirty, and a few times as many on a large disk."""
    lines = deployer.check_output("slipway run -- seq 60000").split()
    assert lines == [str(number) for number in range(1, 60001)]


def test_the_last_words_are_shown_however_far_the_journal_is_behind(host: Any, deployer: Any) -> None:
    """The journal's daemon is stopped for longer than it takes systemd to log that the command has ended."""
    journald = host.check_output("systemctl show --property=MainPID --value systemd-journald@app.service")
    host.check_output(f"kill -STOP {journald}; (sleep 4; kill -CONT {journald}) >/dev/null 2>&1 &")
    ended = deployer.run("slipway run -- sh -c 'echo last words; exit 7'")
    assert (ended.rc, ended.stdout) == (7, "last words\n")


def test_it_has_its_secrets_as_files(host: Any, environment: dict[str, str], inside: str) -> None:
    assert (
        host.check_output(f"{inside} cat {environment['CREDENTIALS_DIRECTORY']}/EXAMPLE_SECRET")
        == "not-much-of-a-secret"
    )


def test_no_secret_is_in_its_environment(environment: dict[str, str]) -> None:
    assert not [value for value in environment.values() if "not-much-of-a-secret" in value]


@pytest.mark.parametrize("path", ["/", "/app", "/etc", "/opt", "/srv", "/var", "/.slipway", "/run"])
def test_it_cannot_write(host: Any, inside: str, path: str) -> None:
    assert host.run(f"{inside} /bin/sh -c 'echo x > {path}/written'").rc != 0


def test_it_writes_its_own_data(host: Any, inside: str) -> None:
    assert host.run(f"{inside} /bin/sh -c 'echo x > /var/lib/app/written && rm /var/lib/app/written'").rc == 0
    assert host.file("/var/lib/app").mode == 0o700


def test_it_reaches_no_network(host: Any, unit: str, inside: str) -> None:
    pid = host.check_output(f"systemctl show --property=MainPID --value {unit}")
    assert host.check_output(f"readlink /proc/{pid}/ns/net") != host.check_output("readlink /proc/1/ns/net")
    program = "import socket, sys; socket.create_connection((sys.argv[1], 80), 5)"
    # The same without its own network, to see that there is something to reach.
    assert host.run(f"{inside.replace(' --net ', ' ')} /opt/venv/bin/python -c '{program}' 127.0.0.1").rc == 0
    assert "refused" in host.run(f"{inside} /opt/venv/bin/python -c '{program}' 127.0.0.1").stderr
    gateway = host.check_output("ip -4 route show default").split()[2]
    assert "unreachable" in host.run(f"{inside} /opt/venv/bin/python -c '{program}' {gateway}").stderr


def test_no_program_of_an_image_changes_who_runs_it(host: Any) -> None:
    assert host.check_output("find /srv/app/sealed /srv/app/releases -perm /6000") == ""


def test_releases_belong_to_the_sealer_and_the_rest_to_the_deployer(host: Any) -> None:
    assert host.check_output("find /srv/app/sealed ! -user sealer") == ""
    assert host.check_output("find /srv/app -path /srv/app/sealed -prune -o ! -user deploy -print").split() == [
        "/srv/app",
        "/srv/app/live.sock",
        "/srv/app/canary.sock",
    ]
    assert host.check_output("stat --format='%U %G %a' /srv/app") == "sealer deploy 1775"
