"""Run the image in a throw-away container, with those of a host's restrictions that Docker supports."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from slipway.contract.site import Site
from slipway.controller.image.check import resolve
from slipway.controller.image.command import HIDDEN, hidden
from slipway.controller.image.errors import ImageError
from slipway.engine.probe import Answer, Front, get_from_socket
from slipway.engine.start_scripts import start_scripts
from slipway.model import listeners
from slipway.model.listeners import TcpSocket
from slipway.model.manifest import Manifest

USER = 64999
"""The app's user id. Any unused id will do."""
RELEASE = "20260101T000000-c0ffee0"
INSIDE = "/run/slipway-contract"
CREDENTIALS = "/run/credentials/app"
ROOT = Path(__file__).resolve().parents[2]
SHARED = ("slipway/__init__.py", "slipway/model/__init__.py", "slipway/model/listeners.py")
"""What `inside.py` imports."""
# Where images have a Python outside their PATH.
PLACES = ("/usr/local/bin", "/usr/bin", "/bin", "/opt/venv/bin", "/venv/bin", "/app/.venv/bin", "/opt/conda/bin")


@dataclass(frozen=True)
class Process:
    """A process of the app."""

    id: int
    parent: int
    threads: int
    command: str


class Container:
    """A running app: its socket, log lines and processes."""

    def __init__(
        self, docker: str, name: str, python: str | None, folder: Path, ports: list[int], brought: Collection[str] = ()
    ) -> None:
        """Take what was started.

        Args:
            docker: the program.
            name: the container's.
            python: the path of the image's Python; None: the app gets no socket, and is probed on its port.
            folder: what the container shares with this machine.
            ports: those that the app may listen on.
            brought: those on which it has PostgreSQL and the broker.
        """
        self._brought = {int(port) for port in brought}
        self._docker, self._name, self._python, self._folder, self._ports = docker, name, python, folder, ports
        self._port: int | None = None

    @property
    def socket(self) -> Path:
        """The socket that requests go to. No other run has a socket of this name."""
        return self._folder / f"{self._folder.parent.name}.sock"

    @property
    def port(self) -> int | None:
        """The port on which the app was found to listen by itself."""
        return self.steps().get("port", self._port)

    def get(self, path: str, host: str, timeout: float, scheme: str) -> Answer:
        """GET from the app, on its socket or its port. `timeout` in seconds."""
        if self._python:
            return get_from_socket(self.socket, path, host, timeout, scheme)
        address = self._run("inspect", "--format={{.NetworkSettings.IPAddress}}", self._name).stdout.strip()
        answer = Answer(error="nothing listens on its port")
        for port in self._ports:
            answer = Front().get(f"http://{address}:{port}", path, host, timeout, scheme)
            if answer.status:
                self._port = port
                break
        return answer

    def steps(self) -> dict[str, int]:
        """Read the steps: `release`, `ended` and `process.NAME` with exit statuses, `web` once the app started."""
        try:
            lines = (self._folder / "steps").read_text().splitlines()
        except FileNotFoundError:
            return {}
        return {step: int(value) for step, value in (line.split() for line in lines)}

    def running(self) -> bool:
        """Whether the container's first process still runs."""
        return self._run("inspect", "--format={{.State.Running}}", self._name).stdout.strip() == "true"

    def log_lines(self, lines: int = 30) -> list[str]:
        """Read the last lines that the app wrote to stdout and stderr."""
        return self._run("logs", f"--tail={lines}", self._name, merge=True).stdout.splitlines()

    def processes(self) -> list[Process]:
        """List the app's processes. Docker runs this machine's `ps`, not the image's."""
        output = self._run("top", self._name, "-o", "pid,ppid,nlwp,args").stdout.splitlines()[1:]
        rows = (line.split(None, 3) for line in output)
        return [Process(int(row[0]), int(row[1]), int(row[2]), row[3]) for row in rows]

    def unaccepted(self) -> int:
        """Count the connections that the app has not accepted: the kernel lists each as connecting (state 02)."""
        if not self._python:
            return 1
        rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
        return sum(row[5] == "02" and row[-1].endswith(f"/{self.socket.name}") for row in rows)

    def listeners(self) -> list[TcpSocket]:
        """List the TCP sockets that listen in the container."""
        found = []
        for table in ("tcp", "tcp6"):
            command = ["cat", f"/proc/net/{table}"]
            if self._python:
                command = [self._python, "-IBc", f"print(open('/proc/net/{table}').read())"]
            found += listeners.parse(self._run("exec", self._name, *command).stdout.rstrip())
        return [each for each in listeners.listening(found) if each.port not in self._brought]

    def has(self, path: str) -> bool:
        """Whether the container has this file now."""
        if not self._python:
            return False
        script = f"import os, sys; sys.exit(not os.path.exists({path!r}))"
        return self._run("exec", self._name, self._python, "-IBc", script).returncode == 0

    def terminate(self) -> None:
        """Send SIGTERM to the container's first process, which passes the signal on to the app."""
        self._run("kill", "--signal=TERM", self._name)

    def wait(self, seconds: float) -> float | None:
        """Wait until the app has ended. Returns the seconds that it took, None if the app still runs."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            if "ended" in self.steps():
                return time.monotonic() - began
            time.sleep(0.05)
        return None

    def _run(self, *arguments: str, merge: bool = False) -> subprocess.CompletedProcess[str]:
        stderr = subprocess.STDOUT if merge else subprocess.PIPE
        return subprocess.run(
            [self._docker, *arguments], stdout=subprocess.PIPE, stderr=stderr, text=True, errors="replace", check=False
        )


def find_python(tree: Path, env: dict[str, str]) -> str | None:
    """Find a Python in the image, of any version, to hand the socket over."""
    folders = [*env.get("PATH", "").split(":"), *PLACES]
    candidates = (f"{folder}/{name}" for folder in folders if folder for name in ("python3", "python"))
    return next((path for path in candidates if resolve(tree, path)), None)


@dataclass(frozen=True)
class Shipment:
    """A release to start, as a host would have it."""

    image: str
    tree: Path
    """The release's files, with the modes that shipping gives."""
    manifest: Manifest
    processes: list[str] = field(default_factory=list)
    """Names of the Procfile's processes that run beside the web server."""
    volumes: list[str] = field(default_factory=list)
    """The image's VOLUMEs, which a host does not have."""
    data: dict[str, str] = field(default_factory=dict)
    """Folders with the sockets of databases: the path on this machine, and the path in the release."""


@contextmanager
def running(docker: str, python: str | None, shipment: Shipment, site: Site) -> Iterator[Container]:
    """Start the app, and remove its container and files at the end.

    Raises:
        ImageError: Docker cannot start the container.
    """
    image = shipment.image
    with tempfile.TemporaryDirectory(prefix="slipway-contract-") as name:
        temporary = Path(name)
        # Only a Python in the container can bring them there.
        brought = _brought(shipment) if python and site["app_data_access"] == "tcp" else {}
        folder = _prepare(temporary, shipment, site, brought)
        options = [
            *_restrictions(site, isolated=bool(python)),
            *_mounts(temporary, bool(site.secrets)),
            *_files(temporary, shipment, site),
        ]
        if python:
            program = [python, image, "-IB", f"{INSIDE}/inside.py", f"{INSIDE}/{folder.parent.name}.sock"]
        else:
            environment = json.loads((folder / "start.json").read_text())["environments"]["app"]
            options += [f"--env={name}={value}" for name, value in environment.items()]
            program = ["/bin/sh", image, f"{INSIDE}/inside.sh"]
        command = [docker, "run", "--detach", *options, "--entrypoint", *program]
        started = subprocess.run(command, capture_output=True, text=True, check=False)
        name = started.stdout.strip()
        try:
            if started.returncode:
                raise ImageError(f"docker cannot run {image}: {started.stderr.strip()}")
            yield Container(docker, name, python, folder, shipment.manifest.ports, brought)
        finally:
            if name:
                subprocess.run([docker, "rm", "--force", "--volumes", name], capture_output=True, check=False)


def _brought(shipment: Shipment) -> dict[str, str]:
    """Return the ports on which an app of app_data_access: tcp has its data, and the socket of each."""
    sockets = {"/run/postgresql": ("5432", ".s.PGSQL.5432"), "/run/broker": ("6379", "broker.sock")}
    return {sockets[folder][0]: f"{folder}/{sockets[folder][1]}" for folder in shipment.data.values()}


def _prepare(temporary: Path, shipment: Shipment, site: Site, brought: dict[str, str]) -> Path:
    """Write the start scripts, the secrets and the container's program. Returns the folder that both share."""
    scripts, secrets, folder = (temporary / name for name in ("scripts", "secrets", "shared"))
    for directory in (scripts, secrets, folder):
        directory.mkdir()
        directory.chmod(0o755)
    folder.chmod(0o777)  # the app's user creates the socket there; the parent folder keeps other users out
    for name, text in start_scripts(RELEASE, shipment.manifest).items():
        (scripts / name).parent.mkdir(exist_ok=True)
        (scripts / name).write_text(text)
        (scripts / name).chmod(0o755)
    for path in shipment.manifest.writable:
        aside, image = scripts / "writable" / path.lstrip("/"), shipment.tree / path.lstrip("/")
        aside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(image, aside, symlinks=True) if image.is_dir() else aside.mkdir()
    for name, value in site.secrets.items():
        (secrets / name).write_text(value)
        (secrets / name).chmod(0o444)
    environment = site.environment() | ({"CREDENTIALS_DIRECTORY": CREDENTIALS} if site.secrets else {})
    broker = "/run/broker" in shipment.data.values()
    environments = {
        unit: environment | (site.data_environment(unit, broker=broker, by_port=bool(brought)) if shipment.data else {})
        for unit in ("app", "migrate", *shipment.processes)
    }
    (folder / "start.json").write_text(
        json.dumps({"environments": environments, "processes": shipment.processes, "brought": brought})
    )
    for name in ("inside.py", "inside.sh"):
        shutil.copy(Path(__file__).with_name(name), folder)
    for name in SHARED:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(ROOT / name, folder / name)
    for each in folder.rglob("*"):
        each.chmod(0o755 if each.is_dir() else 0o644)
    return folder


def _restrictions(site: Site, isolated: bool) -> list[str]:
    """Build Docker's options for the sandbox. `isolated`: no probe reaches the app over a network."""
    unit, state = site.unit(), site.environment()["STATE_DIRECTORY"]
    memory = unit["MemoryMax"][-1]
    writable = {
        "/tmp": "mode=1777",  # noqa: S108 -- the container's
        "/var/tmp": "mode=1777",  # noqa: S108
        state: f"mode=0700,uid={USER},gid={USER}",
    }
    no_exec = " ".join(unit.get("NoExecPaths", [])).replace("+", "").split()
    return [
        "--pull=never",
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        f"--user={USER}:{USER}",
        "--workdir=/",
        "--no-healthcheck",
        "--shm-size=64m",
        # Docker cannot filter by address as app_egress does: the app gets no network, or all of it.
        f"--network={'none' if isolated and site['app_egress'] == 'none' else 'bridge'}",
        # As on a host: an app may listen on ::1. Docker disables IPv6 in a network without IPv6 addresses.
        *(["--sysctl=net.ipv6.conf.lo.disable_ipv6=0"] if Path("/proc/sys/net/ipv6").exists() else []),
        "--tmpfs=/run:ro,mode=0755",
        # ProtectHome=: the app sees an empty folder, and cannot create files there.
        *(f"--tmpfs={folder}:ro,mode=0000" for folder in ("/home", "/root") if unit["ProtectHome"] == ["yes"]),
        *(
            f"--tmpfs={folder}:rw,nosuid,nodev,{'noexec' if folder in no_exec else 'exec'},{options}"
            for folder, options in writable.items()
        ),
        *([] if memory == "infinity" else [f"--memory={memory.lower()}"]),
    ]


def _mounts(temporary: Path, secrets: bool) -> list[str]:
    read_only = {"scripts": "/.slipway"} | ({"secrets": CREDENTIALS} if secrets else {})
    return [
        *(f"--volume={temporary / name}:{target}:ro" for name, target in read_only.items()),
        f"--volume={temporary / 'shared'}:{INSIDE}",
    ]


def _files(temporary: Path, shipment: Shipment, site: Site) -> list[str]:
    """Build Docker's options for the shipped files, and for the folders that the app may write to."""
    tree, writable = shipment.tree, list(site["app_writable"])
    # Docker mounts into some of these, the sandbox hides others, and Docker cannot create a mount point in a read-only
    # folder.
    missing = {PurePosixPath(path).parts[1] for path in writable if not (tree / path.lstrip("/")).is_dir()}
    own = {"etc", "var", ".slipway", *HIDDEN} | missing
    tops = [entry for entry in sorted(tree.iterdir()) if entry.name not in own and not entry.is_symlink()]
    options = [f"--volume={entry}:/{entry.name}:ro" for entry in tops]
    # Docker would make an image's VOLUME writable; a host treats a VOLUME as any other folder.
    volumes = [path for path in shipment.volumes if (tree / path.lstrip("/")).is_dir() and not hidden(path)]
    options += [f"--volume={tree}{path}:{path}:ro" for path in volumes]
    for number, path in enumerate(writable):
        folder = temporary / f"writable-{number}"
        folder.mkdir()
        folder.chmod(0o777)  # on a host the app owns this folder; the start script fills the folder
        options = [option for option in options if not option.endswith(f":{path}:ro")] + [f"--volume={folder}:{path}"]
    return options + [f"--volume={source}:{target}" for source, target in shipment.data.items()]
