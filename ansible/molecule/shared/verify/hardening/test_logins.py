"""Passwords that people choose, su and idle shells. A login by key stays as it is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deploys import run_playbook

PLAY = str(Path(__file__).with_name("logins.yml"))
OLD = "Old-enough_pass7word"
NEW = "Brand_new-wxz83-horse"


@pytest.fixture
def person(host: Any) -> Iterator[str]:
    """A user with a password and without a right. Root may set it, whatever it is."""
    host.check_output("useradd --create-home --shell /bin/bash person && echo person:short | chpasswd")
    host.check_output("echo person:%s | chpasswd", OLD)
    yield "person"
    host.check_output("userdel --remove person; sed -i /^person:/d /etc/security/opasswd")


def change(host: Any, old: str, new: str) -> Any:
    """Change the password as the user does."""
    return host.run("printf '%%s\\n' %s %s %s | runuser -u person -- passwd 2>&1", old, new, new)


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("Sh0rt-one", "shorter than 14 characters"),
        ("onlylowercaseletters", "contains less than 1 digits"),
        (OLD, "same as the old"),
    ],
)
def test_a_weak_password_is_refused(host: Any, person: str, new: str, message: str) -> None:
    refused = change(host, OLD, new)
    assert refused.rc != 0
    assert message in refused.stdout


def test_an_earlier_password_is_refused(host: Any, person: str) -> None:
    assert change(host, OLD, NEW).rc == 0
    refused = change(host, NEW, OLD)
    assert refused.rc != 0
    assert "already used" in refused.stdout


def su(host: Any) -> Any:
    return host.run(f"echo {OLD} | runuser -u admin -- su person -c 'echo became person'")


def test_root_alone_uses_su(host: Any, person: str) -> None:
    assert su(host).rc != 0
    assert host.check_output("su person -c 'id --user --name'") == "person"


def test_an_idle_shell_ends(host: Any) -> None:
    """And not in tmux, where people leave shells."""
    shell = (
        "sed s/900/1/ /etc/profile.d/60-slipway.sh >/tmp/idle.sh && "
        "{} timeout 10 script --quiet --return --command 'bash --rcfile /tmp/idle.sh -i' /dev/null <> /dev/ptmx"
    )
    assert host.run(shell.format("")).rc == 0
    assert host.run(shell.format("TMUX=1")).rc == 124
    assert host.check_output("bash -lc 'echo $TMOUT'") == "900"


def test_it_is_undone(host: Any, person: str) -> None:
    files = "cat /etc/pam.d/common-password /etc/pam.d/su"
    before = host.check_output(files)
    try:
        removed = run_playbook(PLAY, "--extra-vars", json.dumps({"hardening_logins": False}))
        assert removed.returncode == 0, removed.stdout
        assert not host.file("/etc/security/pwquality.conf").exists
        assert su(host).stdout.strip() == "became person"
        assert change(host, OLD, "Sh0rt-one").rc == 0
    finally:
        again = run_playbook(PLAY)
    assert again.returncode == 0, again.stdout
    assert host.check_output(files) == before
