"""Files: nothing is written but what is one's own, and nothing of the host is seen."""

from collections.abc import Iterator
from typing import Any

import pytest

REFUSED = {"EROFS", "EACCES", "EPERM"}
MARK = "seen-from-outside"
# Where the host has files that everybody on it may read.
PLACES = [
    "/etc",
    "/etc/slipway",
    "/opt",
    "/run",
    "/srv",
    "/srv/app",
    "/srv/app/releases",
    "/tmp",
    "/usr/local/lib",
    "/var/lib",
    "/var/log",
    "/var/tmp",
    "/dev/shm",
    "/home",
]
WALK = f"""
import os
for folder, folders, files in os.walk("/"):
    if folder == "/proc":
        folders[:] = []
    if "{MARK}" in files:
        print(folder)
for pid in filter(str.isdigit, os.listdir("/proc")):
    for root in ("root", "cwd"):
        for place in {PLACES!r}:
            if os.path.exists(f"/proc/{{pid}}/{{root}}{{place}}/{MARK}"):
                print(pid, place)
"""


def write(path: str) -> str:
    return f"open({path!r}, 'a').close()"


def not_refused(answers: dict[str, str]) -> dict[str, str]:
    # Most of /proc, and what belongs to other settings, is not even there.
    gone = {line for line, answer in answers.items() if answer == "ENOENT" and ("'/proc/" in line or "'/run/" in line)}
    return {line: answer for line, answer in answers.items() if answer not in REFUSED and line not in gone}


APP = [
    *("/app/x", "/app/app/main.py", "/opt/venv/x", "/.slipway/web", "/.slipway/x", "/x"),
    *("/etc/x", "/etc/passwd", "/usr/bin/x", "/srv/x", "/run/x", "/run/name-resolution/resolv.conf"),
    *("/dev/x", "/var/lib/x", "/var/log/x"),
    *("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/fs/cgroup/cgroup.procs", "/sys/x"),
]
NGINX = [
    *("/etc/nginx/nginx.conf", "/etc/nginx/site.d/http-x.conf", "/etc/x", "/usr/sbin/x"),
    *("/srv/app/x", "/srv/app/releases/x", "/run/x", "/run/app/x", "/var/lib/x"),
    *("/var/log/x", "/var/log/nginx/x", "/proc/sys/kernel/core_pattern", "/sys/fs/cgroup/cgroup.procs", "/dev/x"),
]


def test_the_app_writes_nowhere_else(try_in_app: Any) -> None:
    assert not_refused(try_in_app(map(write, APP))) == {}


def test_the_app_writes_its_own(try_in_app: Any) -> None:
    own = ["/var/lib/app/x", "/tmp/x", "/var/tmp/x", "/dev/shm/x"]
    assert set(try_in_app(map(write, own)).values()) == {"allowed"}


def test_nginx_writes_nowhere_else(try_in_nginx: Any) -> None:
    assert not_refused(try_in_nginx(map(write, NGINX))) == {}


def test_nginx_writes_its_own(try_in_nginx: Any) -> None:
    own = ["/var/lib/nginx/x", "/run/nginx/x", "/var/log/nginx/access.log", "/tmp/x"]
    assert set(try_in_nginx(map(write, own)).values()) == {"allowed"}


@pytest.fixture
def marks(host: Any, deployer: Any) -> Iterator[None]:
    """A file in each place, which somebody without privilege can read."""
    other = "/srv/app/releases/20200101T000000-abcdef0"
    paths = [f"{place}/{MARK}" for place in [*PLACES, other]]
    deployer.check_output(f"mkdir -p {other}")
    host.check_output(f"for path in {' '.join(paths)}; do echo x >$path && chmod 0644 $path; done")
    assert deployer.check_output(f"cat {' '.join(paths)}").split() == ["x"] * len(paths)
    yield
    host.check_output(f"rm {' '.join(paths)}")
    deployer.check_output(f"rmdir {other}")


@pytest.mark.usefixtures("marks")
def test_the_app_sees_no_file_of_the_host(run_in_app: Any) -> None:
    assert run_in_app(WALK) == ""


@pytest.mark.usefixtures("marks")
def test_nginx_sees_nothing_of_what_is_private(run_in_nginx: Any) -> None:
    hidden = {"/run", "/tmp", "/var/tmp", "/home"}
    assert set(run_in_nginx(WALK).split()) & hidden == set()


def test_nginx_reads_no_secret(try_in_nginx: Any) -> None:
    secrets = [
        "/etc/app/secrets/EXAMPLE_SECRET",
        "/etc/app/secrets.key",
        "/etc/shadow",
        "/etc/ssh/ssh_host_ed25519_key",
    ]
    assert not_refused(try_in_nginx(f"open({path!r})" for path in secrets)) == {}
    assert not_refused(try_in_nginx(f"os.listdir({path!r})" for path in ("/root", "/etc/app", "/var/lib/app"))) == {}


@pytest.mark.parametrize(
    "line",
    [
        "os.symlink('/etc/shadow', 'link')",
        "os.symlink('/etc', 'etc')",
        "os.symlink('../../../../etc/shadow', 'up')",
        "open('own', 'w').close(); os.symlink('/root', 'own.d')",
    ],
)
def test_root_follows_no_link_of_the_apps_state(host: Any, status: Any, try_in_app: Any, line: str) -> None:
    look = "stat --format='%n %U %G %a %Y' /etc/shadow /etc /root /root/* /etc/* | sha256sum"
    before = host.check_output(look)
    clear = ["import shutil; shutil.rmtree('/var/lib/app/attack', ignore_errors=True)"]
    try_in_app(clear)
    attack = f"os.mkdir('/var/lib/app/attack'); os.chdir('/var/lib/app/attack'); {line}"
    assert try_in_app([attack])[attack] == "allowed"
    host.check_output(f"systemctl restart app@{status['live']}.service")
    try_in_app(clear)
    assert host.check_output(look) == before


def test_the_app_takes_no_hard_link_to_what_is_not_its_own(try_in_app: Any) -> None:
    attack = "os.link('/etc/passwd', '/var/lib/app/passwd')"
    assert try_in_app([attack])[attack] in {"EXDEV", "EPERM", "EROFS"}
