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
    "/srv/app/sealed",
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
    *("/srv/app/x", "/srv/app/releases/x", "/srv/app/sealed/x", "/run/x", "/run/app/x", "/var/lib/x"),
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


# Where programs look for code and settings by themselves, below a home, a temporary or a working folder.
SITES = [f".local/lib/python3.{minor}/site-packages" for minor in range(11, 16)]
CODE = ("sitecustomize.py", "usercustomize.py", ".pythonrc.py", "gunicorn.conf.py", "encodings/__init__.py")
TRAPS = (
    dict.fromkeys((f"{site}/trap.pth" for site in SITES), "import os; open('/var/lib/app/ran', 'a').write('pth')")
    | dict.fromkeys(
        [*(f"{site}/usercustomize.py" for site in SITES), *CODE],
        "open('/var/lib/app/ran', 'a').write(__file__)",
    )
    | dict.fromkeys((".profile", ".bashrc", ".bash_profile", ".shrc"), "echo shell >>/var/lib/app/ran")
)
ARM = f"""
import os
for folder in (os.environ["HOME"], os.environ["TMPDIR"], "/tmp", "/var/tmp", "/dev/shm", "/var/lib/app", os.getcwd()):
    for trap, code in {TRAPS!r}.items():
        try:
            os.makedirs(os.path.dirname(f"{{folder}}/{{trap}}"), exist_ok=True)
            open(f"{{folder}}/{{trap}}", "w").write(code)
        except OSError:
            pass
"""


def test_what_a_release_leaves_does_not_run_in_the_next(host: Any, deployer: Any, status: Any, run_in_app: Any) -> None:
    """The next start of the same one is that of any other: they share what is left."""
    run_in_app(ARM)
    python = run_in_app("import sys; print(sys._base_executable)")
    ran = "cat /var/lib/app/ran; rm -f /var/lib/app/ran"
    try:
        host.run(ran)
        host.check_output(f"systemctl restart app@{status['live']}.service")
        for command in (f"{python} -c pass", "python -c pass", "sh -lc true", "env sh -ic true"):
            deployer.check_output(f"slipway run -- {command} </dev/null")
        assert host.run(ran).stdout == ""
        # Where the home is one that stays, it runs.
        deployer.check_output(f"slipway run -- env HOME=/var/lib/app {python} -c pass")
        assert host.run(ran).stdout != ""
    finally:
        host.check_output(f"cd /var/lib/app && rm -rf {' '.join({trap.partition('/')[0] for trap in TRAPS})}")


def test_the_app_takes_no_hard_link_to_what_is_not_its_own(try_in_app: Any) -> None:
    attack = "os.link('/etc/passwd', '/var/lib/app/passwd')"
    assert try_in_app([attack])[attack] in {"EXDEV", "EPERM", "EROFS"}
