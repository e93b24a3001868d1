"""What the nightly workflow runs: every host is asked, and one issue tells what differs. ssh and gh are stand-ins."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.github.conftest import Fake

Run = Callable[..., CompletedProcess[str]]
TITLE = "Drift: hosts differ from what provisioning left"


def status(state: str, **names: list[str]) -> tuple[int, str]:
    """What a host answers."""
    drift = {"state": state, "looked_at": "2026-01-01T00:00:00+00:00", "added": [], "changed": [], "removed": []}
    return 0, json.dumps({"host": "www1", "drift": drift | names})


@pytest.fixture
def ssh(programs: Path) -> Fake:
    return Fake(programs, "ssh")


@pytest.fixture
def gh(programs: Path) -> Fake:
    return Fake(programs, "gh")


def test_nothing_is_printed_when_nothing_differs(run: Run, ssh: Fake, tmp_path: Path) -> None:
    ssh.answers({"": status("clean")})
    done = run(
        "drift", "staging", SLIPWAY_KNOWN_HOSTS_STAGING="192.0.2.1 ssh-ed25519 A", GITHUB_OUTPUT=f"{tmp_path}/out"
    )
    assert (done.returncode, done.stdout) == (0, "")
    first, middle, last = (tmp_path / "out").read_text().splitlines()
    assert (first, middle) == (f"report<<{last}", "")


def test_every_host_is_asked_and_what_differs_is_told(run: Run, ssh: Fake, tmp_path: Path) -> None:
    ssh.answers(
        {
            "192.0.2.1": status("differs", changed=["/etc/a"], removed=["/etc/b"]),
            "www2": status("clean"),
            "2001:db8::3": status("old", added=["/etc/c"]),
            "198.51.100.4": status("never"),
            "198.51.100.5": (255, "debug\nPermission denied (publickey)."),
        }
    )
    production = "192.0.2.1 ssh-ed25519 A\n192.0.2.1 ecdsa B\n[www2]:2222 ssh-ed25519 A\n\n2001:db8::3 ssh-ed25519 A"
    done = run(
        "drift",
        "staging",
        "production",
        SLIPWAY_KNOWN_HOSTS_PRODUCTION=production,
        SLIPWAY_KNOWN_HOSTS_STAGING="198.51.100.4 ssh-ed25519 A\n198.51.100.5 ssh-ed25519 A",
        SLIPWAY_STATUS_KEY_PRODUCTION="a key",
        GITHUB_OUTPUT=f"{tmp_path}/out",
    )
    assert done.returncode == 0
    told = [section.strip() for section in done.stdout.split("### ")]
    assert told == [
        "",
        "staging: 198.51.100.4\n\n```\nit has never looked\n```",
        "staging: 198.51.100.5\n\n```\nit cannot be asked: Permission denied (publickey).\n```",
        "production: 192.0.2.1\n\n```\nchanged /etc/a\nremoved /etc/b\n```",
        "production: 2001:db8::3\n\n```\nit has not looked since 2026-01-01T00:00:00+00:00\nadded /etc/c\n```",
    ]
    assert done.stdout.strip() in (tmp_path / "out").read_text()
    asked = [(call[-3], call[-2]) for call in ssh.asked]
    assert ("-p2222", "deploy@www2") in asked
    assert ("-p22", "deploy@2001:db8::3") in asked
    assert len(asked) == 5
    for call in ssh.asked:
        assert {"-oStrictHostKeyChecking=yes", "-oGlobalKnownHostsFile=none"} <= set(call)
        assert ("-oIdentitiesOnly=yes" in call) == ("198.51.100" not in call[-2])  # where it was given a key
        assert call[-1] == "slipway status --json"


def test_without_hosts_it_says_what_to_type(run: Run, ssh: Fake) -> None:
    done = run("drift", "staging", SLIPWAY_KNOWN_HOSTS_STAGING="")
    assert done.returncode == 2
    assert "make github" in done.stderr
    assert ssh.asked == []


def test_the_first_difference_opens_an_issue(run: Run, gh: Fake) -> None:
    done = run("drift-issue", REPORT="### staging: www1\n\nchanged /etc/a")
    assert done.returncode == 0, done.stderr
    (create,) = [call for call in gh.asked if call[:2] == ["issue", "create"]]
    assert create[2:4] == ["--title", TITLE]
    assert "changed /etc/a" in create[5]
    assert "--check --diff" in create[5]


def test_another_difference_changes_the_issue_that_is_open(run: Run, gh: Fake) -> None:
    gh.answers({"issue list": (0, "7"), "issue view": (0, "old text")})
    assert run("drift-issue", REPORT="changed /etc/b").returncode == 0
    verbs = [call[1:3] for call in gh.asked]
    assert verbs == [["list", "--state"], ["view", "7"], ["edit", "7"], ["comment", "7"]]


def test_the_same_difference_says_nothing_again(run: Run, gh: Fake) -> None:
    run("drift-issue", REPORT="changed /etc/b")
    gh.answers({"issue list": (0, "7"), "issue view": (0, gh.asked[-1][-1])})
    gh.log.unlink()
    assert run("drift-issue", REPORT="changed /etc/b").returncode == 0
    assert [call[1] for call in gh.asked] == ["list", "view"]


@pytest.mark.parametrize("report", ["", "\n\n"])
def test_it_closes_when_nothing_differs(run: Run, gh: Fake, report: str) -> None:
    gh.answers({"issue list": (0, "7")})
    assert run("drift-issue", REPORT=report).returncode == 0
    assert [call[:3] for call in gh.asked][1:] == [["issue", "close", "7"]]


def test_without_an_issue_nothing_is_closed(run: Run, gh: Fake) -> None:
    assert run("drift-issue", REPORT="").returncode == 0
    assert [call[1] for call in gh.asked] == ["list"]


def test_a_failure_of_gh_is_one(run: Run, gh: Fake) -> None:
    gh.answers({"": (1, "HTTP 403")})
    done = run("drift-issue", REPORT="")
    assert done.returncode != 0
    assert "HTTP 403" in done.stderr
