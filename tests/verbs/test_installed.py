"""The tool in somebody else's repository: installed from a wheel, no file of Slipway's in sight, one host on this machine."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.controller.github.hosts import Host
from slipway.controller.local.hosts import LocalHosts
from slipway.controller.project import Project
from tests.verbs.conftest import ask, docker
from tests.verbs.far import PASSWORD, moved_away
from tests.wheel import MAIN, Installed, install, write_shop


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def shop(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository with an app, and its host; both are gone at the end."""
    folder = write_shop(tmp_path_factory.mktemp("shop"))
    git = ("git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.com")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "A shop"]):
        subprocess.run([*git, *command], check=True)
    try:
        yield folder
    finally:
        installed.slipway("down", cwd=folder)
        images = docker("images", f"slipway-app-{image_name(folder)}", "--format={{.Repository}}:{{.Tag}}").split()
        if images:
            docker("image", "rm", *images)


def image_name(folder: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SLIPWAY_CHECKOUT", raising=False)
        return Project.find(folder).id


def do(installed: Installed, shop: Path, *arguments: str) -> str:
    done = installed.slipway(*arguments, cwd=shop)
    assert done.returncode == 0, f"slipway {' '.join(arguments)}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def status(installed: Installed, shop: Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(do(installed, shop, "status", "--json"))["local"]
    return answer


@pytest.fixture(scope="module")
def url(installed: Installed, shop: Path) -> str:
    """Where the app of the shop is served, after `slipway up`."""
    printed = do(installed, shop, "up")
    (line,) = [line for line in printed.splitlines() if line.startswith("Serving:")]
    return line.split()[1]


def test_a_dockerfile_that_does_not_build_is_reported_before_a_host_is_changed(
    installed: Installed, shop: Path
) -> None:
    dockerfile = shop / "Dockerfile"
    good = dockerfile.read_text()
    dockerfile.write_text(f"{good}RUN echo no such package >&2 && false\n")
    try:
        done = installed.slipway("up", cwd=shop)
    finally:
        dockerfile.write_text(good)
    assert done.returncode == 1
    assert "no such package" in done.stdout
    host = f"slipway-host-{image_name(shop)}-local"
    assert docker("exec", host, "sh", "-c", "ls -d /etc/slipway /etc/nginx /srv/app 2>/dev/null || true") == ""


def test_up_serves_the_app(installed: Installed, shop: Path, url: str) -> None:
    assert ask(f"{url}/") == {"greeting": "hello"}
    live = status(installed, shop)
    assert live["commit"] == subprocess.check_output(["git", "-C", str(shop), "rev-parse", "HEAD"], text=True).strip()
    assert subprocess.check_output(["git", "-C", str(shop), "status", "--porcelain"], text=True) == ""


def test_a_dry_run_builds_the_image_and_changes_nothing(installed: Installed, shop: Path, url: str) -> None:
    printed = do(installed, shop, "provision", "local", "--", "--check")
    assert "changed=0" in printed
    assert "failed=0" in printed


def test_check_tells_a_program_what_the_image_keeps(installed: Installed, shop: Path, url: str) -> None:
    image = f"slipway-app-{image_name(shop)}:latest"
    found = json.loads(do(installed, shop, "check", "--json"))  # the project's own image
    assert found["broken"] == 0
    assert found["lines"]["ready"]["state"] == "ok"
    done = installed.slipway("check", image, "--json", "-e", "app_ready_path=/nowhere", "--timeout", "5", cwd=shop)
    assert done.returncode == 1
    assert json.loads(done.stdout)["lines"]["ready"]["state"] == "not ok"


def test_deploy_status_run_logs_and_rollback(installed: Installed, shop: Path, url: str) -> None:
    before = status(installed, shop)["live"]
    main = shop / "main.py"
    main.write_text(main.read_text().replace("hello", "good morning"))
    printed = do(installed, shop, "deploy")
    assert "last time" in printed
    live = status(installed, shop)["live"]
    assert printed.endswith(f"{live} is live. To return to {before}, type: slipway rollback local\nServing:  {url}\n")
    assert do(installed, shop, "status").startswith("local: healthy\n")
    again = do(installed, shop, "deploy")
    assert f"Nothing changed: {live} stays live." in again
    assert ask(f"{url}/") == {"greeting": "good morning"}
    assert status(installed, shop)["live"] != before
    assert '"GET / HTTP/1.1" 200' in do(installed, shop, "logs", "-n", "50")
    assert do(installed, shop, "run", "--", "echo", "two words").splitlines()[-1] == "two words"
    assert installed.slipway("run", "--", "sh", "-c", "exit 3", cwd=shop).returncode == 3
    assert do(installed, shop, "rollback").endswith(f"\n{before} is live.\n")
    assert ask(f"{url}/") == {"greeting": "hello"}
    assert status(installed, shop)["live"] == before


def test_a_host_is_reached_by_ansibles_own_variables_in_every_verb(installed: Installed, shop: Path, url: str) -> None:
    """An IPv6 address behind a jump host, another port, and a login whose sudo wants a password."""
    project = image_name(shop)
    hosts = LocalHosts(installed.home / f"cache/slipway/projects/{shop.name}-{project}/hosts", project)
    away = shop / "deploy/away"
    shutil.copytree(shop / "deploy/production", away)
    site = docker("inspect", "--format={{.NetworkSettings.IPAddress}}", hosts.container("local"))
    variables = (away / "group_vars/all.yml").read_text().replace("shop.example.com", f"{site}, localhost, 127.0.0.1")
    (away / "group_vars/all.yml").write_text(f"{variables}host_admin: root\n")
    (shop / "main.py").write_text(MAIN)  # as what is live
    with moved_away(hosts, "local", away / "hosts.yml") as values:
        do(installed, shop, "provision", "away", "--", "-e", "host_adopted=true")
        before = asked_away(installed, shop)
        assert (before["state"], before["site"]["environment"]) == ("healthy", "away")
        (shop / "main.py").write_text(MAIN.replace("hello", "from afar"))
        do(installed, shop, "deploy", "away")
        assert ask(f"{url}/") == {"greeting": "from afar"}
        assert '"GET / HTTP/1.1" 200' in do(installed, shop, "logs", "away", "-n", "50")
        assert do(installed, shop, "run", "away", "--", "echo", "two words").splitlines()[-1] == "two words"
        do(installed, shop, "rollback", "away")
        assert asked_away(installed, shop)["live"] == before["live"]
        printed = on_a_terminal(installed, shop, "slipway", "shell", "away")
        assert re.search(r"uid=[1-9]", printed), printed
        # What `slipway github` gives to CI: both hosts, as known_hosts names them.
        known = Host("far", values).known_hosts()
        assert [line.split()[0] for line in known] == [f"[{values['ansible_host']}]:2222", known[-1].split()[0]]
        assert known[-1].startswith("[127.0.0.1]:")

        seen = json.loads(do(installed, shop, "doctor", "away", "--json"))
        assert seen["healthy"]
        checks = [finding["check"] for finding in seen["findings"] if finding["where"] == "far"]
        assert checks.count("host key") == 2
        assert {"login as admin", "login as deploy", "sudo", "clock", "release", "port 80"} < set(checks)
        known_hosts = hosts.folder / "local/away_known_hosts"
        known_hosts.rename(known_hosts.with_suffix(".kept"))
        done = installed.slipway("doctor", "away", "--json", cwd=shop)
        known_hosts.with_suffix(".kept").rename(known_hosts)
        assert done.returncode == 1
        wrong = [each["check"] for each in json.loads(done.stdout)["findings"] if each["state"] == "wrong"]
        assert wrong == ["host key", "login as admin", "login as deploy"]

        bare = installed.slipway("provision", "away", "--", "-e", "ansible_python_interpreter=/usr/bin/none", cwd=shop)
        assert bare.returncode == 1
        assert "far has no working Python" in " ".join(bare.stdout.split())

        written = (away / "hosts.yml").read_text()
        (away / "hosts.yml").write_text(written.replace("ansible_become_password", "no_password"))
        refused = installed.slipway("provision", "away", cwd=shop)
        assert refused.returncode == 1
        printed = " ".join(refused.stdout.split())
        assert re.search(r"admin cannot become root on far: .*Missing sudo password", printed), printed
        assert "slipway provision away -- --ask-become-pass" in printed


def asked_away(installed: Installed, shop: Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(do(installed, shop, "status", "away", "--json"))["far"]
    return answer


def on_a_terminal(installed: Installed, shop: Path, *command: str) -> str:
    """Run a verb that needs a terminal, with the password of sudo and then `id` typed. Returns what was printed."""
    words = [str(installed.environment / "bin" / command[0]), *command[1:]]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(shop)
        os.execve(words[0], words, os.environ | {"XDG_CACHE_HOME": str(installed.home / "cache"), "TERM": "dumb"})
    printed, typed = "", 0
    answers = (("password for admin:", PASSWORD), ("$ ", "id; exit"))
    try:
        while select.select([terminal], [], [], 30)[0]:
            printed += os.read(terminal, 4096).decode(errors="replace")
            if typed < len(answers) and answers[typed][0] in printed:
                os.write(terminal, f"{answers[typed][1]}\n".encode())
                typed += 1
    except OSError:  # EIO: it has ended
        pass
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    return printed


def test_down_leaves_nothing(installed: Installed, shop: Path, url: str) -> None:
    do(installed, shop, "down")
    assert docker("ps", "--all", "--filter", f"name=-{image_name(shop)}-", "--format={{.Names}}") == ""
    done = installed.slipway("status", cwd=shop)
    assert done.returncode == 2
    assert "slipway up" in done.stderr
