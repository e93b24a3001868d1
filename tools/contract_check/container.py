"""One throw-away container of the image, with those of a host's restrictions that Docker knows."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.slipway_image import ImageError, resolve

from slipway.ship import Manifest, start_scripts
from tools.contract_check.site import Site

USER = 64999
"""The app's user. Any that is nobody's."""
RELEASE = "20260101T000000-c0ffee0"
INSIDE = "/run/slipway-contract"
CREDENTIALS = "/run/credentials/app"
# Where a Python may be that is not in the image's PATH.
PLACES = ("/usr/local/bin", "/usr/bin", "/bin", "/opt/venv/bin", "/venv/bin", "/app/.venv/bin", "/opt/conda/bin")


@dataclass(frozen=True)
class Process:
    """A process of the app."""

    id: int
    parent: int
    threads: int
    command: str


class Container:
    """A running app: its socket, what it said, its processes."""

    def __init__(self, docker: str, name: str, python: str, folder: Path) -> None:
        self._docker, self._name, self._python, self._folder = docker, name, python, folder

    @property
    def socket(self) -> Path:
        """Where the app can be asked. No other run has a socket of this name."""
        return self._folder / f"{self._folder.parent.name}.sock"

    def told(self) -> dict[str, int]:
        """The steps so far: `release` and `ended` with their exit status, `web` once the app was started."""
        try:
            lines = (self._folder / "told").read_text().splitlines()
        except FileNotFoundError:
            return {}
        return {step: int(value) for step, value in (line.split() for line in lines)}

    def running(self) -> bool:
        """Whether its first process still runs."""
        return self._run("inspect", "--format={{.State.Running}}", self._name).stdout.strip() == "true"

    def said(self, lines: int = 30) -> list[str]:
        """What it said last, on stdout and stderr."""
        return self._run("logs", f"--tail={lines}", self._name, merge=True).stdout.splitlines()

    def processes(self) -> list[Process]:
        """The app's processes. `ps` is this machine's, not the image's."""
        shown = self._run("top", self._name, "-o", "pid,ppid,nlwp,args").stdout.splitlines()[1:]
        rows = (line.split(None, 3) for line in shown)
        return [Process(int(row[0]), int(row[1]), int(row[2]), row[3]) for row in rows]

    def untaken(self) -> int:
        """How many of our connections nobody has accepted: the kernel lists them as connecting (state 02)."""
        rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
        return sum(row[5] == "02" and row[-1].endswith(f"/{self.socket.name}") for row in rows)

    def has(self, path: str) -> bool:
        """Whether there is such a file in it now."""
        look = f"import os, sys; sys.exit(not os.path.exists({path!r}))"
        return self._run("exec", self._name, self._python, "-IBc", look).returncode == 0

    def terminate(self) -> None:
        """Ask the app's main process to end."""
        self._run("kill", "--signal=TERM", self._name)

    def wait(self, seconds: float) -> float | None:
        """Wait until the app has ended; return how long it took, None if it did not."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            if "ended" in self.told():
                return time.monotonic() - began
            time.sleep(0.05)
        return None

    def _run(self, *arguments: str, merge: bool = False) -> subprocess.CompletedProcess[str]:
        stderr = subprocess.STDOUT if merge else subprocess.PIPE
        return subprocess.run(
            [self._docker, *arguments], stdout=subprocess.PIPE, stderr=stderr, text=True, errors="replace", check=False
        )


def find_python(tree: Path, env: dict[str, str]) -> str | None:
    """Where the image has a Python, which hands the socket over; any will do."""
    folders = [*env.get("PATH", "").split(":"), *PLACES]
    candidates = (f"{folder}/{name}" for folder in folders if folder for name in ("python3", "python"))
    return next((path for path in candidates if resolve(tree, path)), None)


@contextmanager
def running(docker: str, image: str, python: str, manifest: Manifest, site: Site) -> Iterator[Container]:
    """Start the app, and remove all of it at the end.

    Raises:
        ImageError: Docker does not start it.
    """
    with tempfile.TemporaryDirectory(prefix="slipway-contract-") as temporary:
        folder = _prepare(Path(temporary), manifest, site)
        options = [*_restrictions(site), *_mounts(Path(temporary), bool(site.secrets))]
        program = ["-IB", f"{INSIDE}/inside.py", f"{INSIDE}/{folder.parent.name}.sock"]
        command = [docker, "run", "--detach", *options, f"--entrypoint={python}", image, *program]
        started = subprocess.run(command, capture_output=True, text=True, check=False)
        name = started.stdout.strip()
        try:
            if started.returncode:
                raise ImageError(f"docker cannot run {image}: {started.stderr.strip()}")
            yield Container(docker, name, python, folder)
        finally:
            if name:
                subprocess.run([docker, "rm", "--force", "--volumes", name], capture_output=True, check=False)


def _prepare(temporary: Path, manifest: Manifest, site: Site) -> Path:
    """Write the start scripts, the secrets and what runs inside. Returns the folder that is shared with it."""
    scripts, secrets, folder = (temporary / name for name in ("scripts", "secrets", "shared"))
    for each in (scripts, secrets, folder):
        each.mkdir()
        each.chmod(0o755)
    folder.chmod(0o777)  # the app's user makes the socket there; nobody else gets past the folder above
    for name, text in start_scripts(RELEASE, manifest).items():
        (scripts / name).write_text(text)
        (scripts / name).chmod(0o755)
    for name, value in site.secrets.items():
        (secrets / name).write_text(value)
        (secrets / name).chmod(0o444)
    environment = site.environment() | ({"CREDENTIALS_DIRECTORY": CREDENTIALS} if site.secrets else {})
    (folder / "environment.json").write_text(json.dumps(environment))
    shutil.copy(Path(__file__).with_name("inside.py"), folder)
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder


def _restrictions(site: Site) -> list[str]:
    unit, state = site.unit(), site.environment()["STATE_DIRECTORY"]
    memory = unit["MemoryMax"][-1]
    writable = {
        "/tmp": "mode=1777",  # noqa: S108 -- the container's
        "/var/tmp": "mode=1777",  # noqa: S108
        state: f"mode=0700,uid={USER},gid={USER}",
    }
    not_run = " ".join(unit.get("NoExecPaths", [])).replace("+", "").split()
    return [
        "--pull=never",
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        f"--user={USER}:{USER}",
        "--workdir=/",
        "--no-healthcheck",
        "--shm-size=64m",
        # Of the networks that an app may be allowed, Docker has one and does not choose among addresses.
        f"--network={'none' if site['app_egress'] == 'none' else 'bridge'}",
        "--tmpfs=/run:ro,mode=0755",
        # ProtectHome=: for the app there is nothing in them, and nothing can be made.
        *(f"--tmpfs={folder}:ro,mode=0000" for folder in ("/home", "/root") if unit["ProtectHome"] == ["yes"]),
        *(
            f"--tmpfs={folder}:rw,nosuid,nodev,{'noexec' if folder in not_run else 'exec'},{options}"
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
