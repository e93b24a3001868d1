"""What the nightly workflow runs: every host is queried, and one issue lists the differences. ssh and gh are stand-ins."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.github.conftest import ROOT, Fake

Run = Callable[..., CompletedProcess[str]]
DRIFT = (str(ROOT / ".venv/bin/slipway"), "pipeline", "drift")
TITLE = "Drift: hosts differ from what provisioning left"


def status(state: str, **names: list[str]) -> tuple[int, str]:
    """What a host answers."""
    drift = {"state": state, "looked_at": "2026-01-01T00:00:00+00:00", "added": [], "changed": [], "removed": []}
    return 0, json.dumps({"host": "www1", "drift": drift | names})


def certified(**states: str) -> tuple[int, str]:
    """What a host with certificates by ACME answers."""
    found = [{"name": f"{name}.example", "state": state, "reason": "dns: none"} for name, state in states.items()]
    return 0, json.dumps(json.loads(status("clean")[1]) | {"certificates": found})


@pytest.fixture
def ssh(programs: Path) -> Fake:
    return Fake(programs, "ssh")


@pytest.fixture
def inventory(programs: Path) -> Callable[..., None]:
    """Put hosts in the inventories: `name={variables}` of each."""
    ansible = Fake(programs, "ansible-inventory")

    def put(**environments: dict[str, dict[str, object]]) -> None:
        ansible.answers(
            {
                f"/{name} ": (0, json.dumps({"_meta": {"hostvars": hosts}, "app": {"hosts": list(hosts)}}))
                for name, hosts in environments.items()
            }
        )

    return put


@pytest.fixture
def gh(programs: Path) -> Fake:
    return Fake(programs, "gh")


def test_certificates_that_are_not_renewed_are_printed(run: Run, ssh: Fake, inventory: Callable[..., None]) -> None:
    inventory(staging={"www1": {"ansible_host": "192.0.2.1"}})
    ssh.answers({"": certified(a="valid", b="failing", c="expiring", d="none")})
    done = run(*DRIFT, "staging", SLIPWAY_KNOWN_HOSTS_STAGING="192.0.2.1 ssh-ed25519 A")
    lines = [
        "b.example is not renewed: dns: none",
        "c.example is expiring: dns: none",
        "d.example is missing: dns: none",
    ]
    assert (
        done.stdout
        == "### staging: www1\n\n```\n" + "".join(f"the certificate of {each}\n" for each in lines) + "```\n\n"
    )


def test_nothing_is_printed_when_nothing_differs(
    run: Run, ssh: Fake, inventory: Callable[..., None], tmp_path: Path
) -> None:
    inventory(staging={"www1": {"ansible_host": "192.0.2.1"}})
    ssh.answers({"": status("clean")})
    done = run(
        *DRIFT, "staging", SLIPWAY_KNOWN_HOSTS_STAGING="192.0.2.1 ssh-ed25519 A", GITHUB_OUTPUT=f"{tmp_path}/out"
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "out").read_text() == "report=\n"


def test_every_host_is_queried_and_the_differences_are_reported(
    run: Run, ssh: Fake, inventory: Callable[..., None], tmp_path: Path
) -> None:
    ssh.answers(
        {
            "192.0.2.1": status("differs", changed=["/etc/a"], removed=["/etc/b"]),
            "www2": status("clean"),
            "2001:db8::3": status("old", added=["/etc/c"]),
            "198.51.100.4": status("never"),
            "198.51.100.5": (255, "debug\nPermission denied (publickey)."),
        }
    )
    inventory(
        staging={"a": {"ansible_host": "198.51.100.4"}, "b": {"ansible_host": "198.51.100.5"}},
        production={
            "www1": {"ansible_host": "192.0.2.1", "ansible_ssh_common_args": "-J gate@192.0.2.9"},
            "www2": {"ansible_port": 2222, "ansible_ssh_common_args": "-o StrictHostKeyChecking=no"},
            "www3": {"ansible_host": "2001:db8::3"},
        },
    )
    done = run(
        *DRIFT,
        "staging",
        "production",
        SLIPWAY_KNOWN_HOSTS_PRODUCTION="192.0.2.9 ssh-ed25519 A\n192.0.2.1 ssh-ed25519 A",
        SLIPWAY_KNOWN_HOSTS_STAGING="198.51.100.4 ssh-ed25519 A\n198.51.100.5 ssh-ed25519 A",
        SLIPWAY_STATUS_KEY_PRODUCTION="a key",
        GITHUB_OUTPUT=f"{tmp_path}/out",
    )
    assert done.returncode == 0, done.stderr
    sections = [section.strip() for section in done.stdout.split("### ")]
    assert sections == [
        "",
        "staging: a\n\n```\nthe host has never looked\n```",
        "staging: b\n\n```\nthe host cannot be reached: Permission denied (publickey).\n```",
        "production: www1\n\n```\nchanged /etc/a\nremoved /etc/b\n```",
        "production: www3\n\n```\nthe host has not looked since 2026-01-01T00:00:00+00:00\nadded /etc/c\n```",
    ]
    assert done.stdout.strip() in (tmp_path / "out").read_text()
    called = [" ".join(call) for call in ssh.calls]
    assert len(called) == 5
    assert any("-J gate@192.0.2.9 deploy@192.0.2.1 slipway status --json" in call for call in called)
    assert any("-p2222" in call and "deploy@www2" in call for call in called)
    assert any("deploy@2001:db8::3" in call for call in called)
    for call in called:
        assert "-oGlobalKnownHostsFile=none" in call
        # Before the inventory's: ssh takes the first.
        assert call.index("StrictHostKeyChecking=yes") == call.index("StrictHostKeyChecking=")
        assert ("-oIdentitiesOnly=yes" in call) == ("198.51.100" not in call)  # where it was given a key


def test_without_hosts_it_says_what_to_type(run: Run, ssh: Fake) -> None:
    done = run(*DRIFT, "staging", SLIPWAY_KNOWN_HOSTS_STAGING="")
    assert done.returncode == 1
    assert "slipway github staging" in done.stderr
    assert ssh.calls == []


def test_the_first_difference_opens_an_issue(run: Run, gh: Fake) -> None:
    done = run("drift-issue", REPORT="### staging: www1\n\nchanged /etc/a")
    assert done.returncode == 0, done.stderr
    (create,) = [call for call in gh.calls if call[:2] == ["issue", "create"]]
    assert create[2:4] == ["--title", TITLE]
    assert "changed /etc/a" in create[5]
    assert "--check --diff" in create[5]


def test_another_difference_changes_the_issue_that_is_open(run: Run, gh: Fake) -> None:
    gh.answers({"issue list": (0, "7"), "issue view": (0, "old text")})
    assert run("drift-issue", REPORT="changed /etc/b").returncode == 0
    verbs = [call[1:3] for call in gh.calls]
    assert verbs == [["list", "--state"], ["view", "7"], ["edit", "7"], ["comment", "7"]]


def test_the_same_difference_says_nothing_again(run: Run, gh: Fake) -> None:
    run("drift-issue", REPORT="changed /etc/b")
    gh.answers({"issue list": (0, "7"), "issue view": (0, gh.calls[-1][-1])})
    gh.log.unlink()
    assert run("drift-issue", REPORT="changed /etc/b").returncode == 0
    assert [call[1] for call in gh.calls] == ["list", "view"]


def test_a_project_that_is_not_the_whole_repository_has_an_issue_of_its_own(run: Run, gh: Fake) -> None:
    assert run("drift-issue", REPORT="changed /etc/a", PROJECT="services/api").returncode == 0
    (create,) = [call for call in gh.calls if call[:2] == ["issue", "create"]]
    assert create[3] == f"{TITLE} (services/api)"


@pytest.mark.parametrize("report", ["", "\n\n"])
def test_it_closes_when_nothing_differs(run: Run, gh: Fake, report: str) -> None:
    gh.answers({"issue list": (0, "7")})
    assert run("drift-issue", REPORT=report).returncode == 0
    assert [call[:3] for call in gh.calls][1:] == [["issue", "close", "7"]]


def test_without_an_issue_nothing_is_closed(run: Run, gh: Fake) -> None:
    assert run("drift-issue", REPORT="").returncode == 0
    assert [call[1] for call in gh.calls] == ["list"]


def test_a_failure_of_gh_is_one(run: Run, gh: Fake) -> None:
    gh.answers({"": (1, "HTTP 403")})
    done = run("drift-issue", REPORT="")
    assert done.returncode != 0
    assert "HTTP 403" in done.stderr
