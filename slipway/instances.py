"""The units of a release: its web server with its socket, and the other processes of its Procfile.

`app@<release>` is the web server. `app-worker.1@<release>.service` is the first of the processes `worker`: a template
for each process and number, made by provisioning, so that polkit can allow whole names.
"""

from collections import defaultdict

from slipway.host import Host

PATTERNS = ("app@*.service", "app@*.socket", "app-*@*.service")
JOBS = "job-*@*.service"


def service(release: str) -> str:
    """The unit of its web server."""
    return f"app@{release}.service"


def socket(release: str) -> str:
    """The unit of the socket that its web server is handed."""
    return f"app@{release}.socket"


def processes(host: Host, release: str) -> list[str]:
    """Units of the processes of which two releases may run at the same time."""
    wanted = host.config.processes
    return [unit for name in wanted for unit in _units(host, release, name, wanted[name])]


def singles(host: Host, release: str) -> list[str]:
    """Units of the processes that run once: on this host if on any, and never in two releases at the same time."""
    return [unit for name in host.config.single_processes for unit in _units(host, release, name, 1)]


def services(host: Host, release: str) -> list[str]:
    """Units of all that it runs on this host: its web server first."""
    return [service(release), *processes(host, release), *singles(host, release)]


def title(unit: str) -> str:
    """What people call a process: `worker.1`, or `web` for the web server."""
    name = unit.partition("@")[0]
    return "web" if name == "app" else name.removeprefix("app-")


def loaded(host: Host) -> dict[str, list[str]]:
    """Units that are not plainly inactive, by release."""
    found: dict[str, list[str]] = defaultdict(list)
    for pattern in PATTERNS:
        for unit in host.systemd.loaded(pattern):
            found[_release(unit)].append(unit)
    return dict(found)


def in_use(host: Host) -> set[str]:
    """Releases of which anything runs, a job as well: their files must stay."""
    return set(loaded(host)) | {_release(unit) for unit in host.systemd.loaded(JOBS)}


def stop(host: Host, release: str, wait: bool = True) -> str | None:
    """Stop all of a release. A socket left behind would start it again at the next connection.

    Returns None, or what systemctl said when that failed.
    """
    others = host.systemd.loaded(f"app-*@{release}.service")
    return host.systemd.stop(service(release), socket(release), *others, wait=wait)


def _units(host: Host, release: str, name: str, count: int) -> list[str]:
    """None if the release has no such process, or was shipped before there were any: it may be gone back to."""
    scripts = host.releases.path(release) / ".slipway"
    if not ((scripts / name).exists() and (scripts / "process").exists()):
        return []
    return [f"app-{name}.{number}@{release}.service" for number in range(1, count + 1)]


def _release(unit: str) -> str:
    return unit.split("@")[1].rsplit(".", 1)[0]
