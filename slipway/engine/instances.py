"""The units of a release: its web server with its socket, and the other processes of its Procfile.

`app@<release>` is the web server. `app-worker.1@<release>.service` is the first of the processes `worker`: a template
for each process and number, made by provisioning, so that polkit can allow whole names.
"""

from collections import defaultdict

from slipway.engine.host import Host

PATTERNS = ("app@*.service", "app@*.socket", "app-*@*.service", "proxy@*.service")
JOBS = "job-*@*.service"


def service(release: str) -> str:
    """The unit of the web server of a release."""
    return f"app@{release}.service"


def socket(release: str) -> str:
    """The unit of the socket that the web server is handed."""
    return f"app@{release}.socket"


def proxy(release: str) -> str:
    """The unit that connects the socket of a release to the port on which its app listens."""
    return f"proxy@{release}.service"


def is_proxied(host: Host, release: str) -> bool:
    """Whether the app of a release listens on a port by itself, as its first start showed."""
    return host.releases.known(release).port is not None


def web(host: Host, release: str) -> list[str]:
    """The units of the web server of a release, in the order in which they start: its socket first."""
    return [socket(release), service(release), *([proxy(release)] if is_proxied(host, release) else [])]


def processes(host: Host, release: str) -> list[str]:
    """Units of the processes of which two releases may run at the same time."""
    counts = host.site.processes
    return [unit for name in counts for unit in _units(host, release, name, counts[name])]


def singletons(host: Host, release: str) -> list[str]:
    """Units of the processes that run on one host only, and never in two releases at the same time.

    None on the other hosts.
    """
    return [unit for name in host.site.single_processes for unit in _units(host, release, name, 1)]


def services(host: Host, release: str) -> list[str]:
    """Units of all that a release runs on this host: its web server first."""
    return [service(release), *processes(host, release), *singletons(host, release)]


def display_name(unit: str) -> str:
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
    """Releases of which any unit runs, a job's as well: their files must stay."""
    return set(loaded(host)) | {_release(unit) for unit in host.systemd.loaded(JOBS)}


def stop(host: Host, release: str, wait: bool = True) -> None:
    """Stop all units of a release. A socket left behind would start the web server again at the next connection.

    Raises:
        SystemdError: one does not stop.
    """
    others = host.systemd.loaded(f"app-*@{release}.service") + host.systemd.loaded(proxy(release))
    host.systemd.stop(service(release), socket(release), *others, wait=wait)


def _units(host: Host, release: str, name: str, count: int) -> list[str]:
    """None if the release has no such process, or was shipped before there were any: a rollback may go to it."""
    scripts = host.releases.path(release) / ".slipway"
    if not ((scripts / name).exists() and (scripts / "process").exists()):
        return []
    return [f"app-{name}.{number}@{release}.service" for number in range(1, count + 1)]


def _release(unit: str) -> str:
    return unit.split("@")[1].rsplit(".", 1)[0]
