"""One real Kubernetes node on this machine, started and removed. What it consists of: node_init.py."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from labs.command import LabError
from tools.checkout import CHECKOUT, ROOT

CGROUP = f"slipway-kubernetes-{CHECKOUT}"
PROGRAMS = ROOT / ".cache/bin"
START_SECONDS = 240
GONE_SECONDS = 30


class Node:
    """A node whose files are in `folder`."""

    def __init__(self, folder: Path) -> None:
        """Name the node; nothing runs yet."""
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._init = 0

    def start(self) -> None:
        """Start the node and return when its API answers.

        Raises:
            LabError: this is not root, or it does not start, with its last lines.
        """
        if os.geteuid() != 0:
            raise LabError("a node mounts file systems and makes networks: run as root, sudo make test-kubernetes")
        self.remove()
        self.folder.mkdir(parents=True)
        command = [sys.executable, "-m", "tests.kubernetes.node_init", "enter", str(self.folder), str(PROGRAMS), CGROUP]
        with (self.folder / "init.log").open("wb") as log:
            # It ends with this process, however that ends.
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while not (self.folder / "booted").exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                log_text = (self.folder / "init.log").read_text()[-2000:]
                raise LabError(f"the node does not start; {self.folder}/init.log:\n{log_text}")
            time.sleep(0.2)
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        self._init = int(children.read_text().split()[0])

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which `kubectl` and `ctr` find the node."""
        path = f"{PROGRAMS}/kubernetes:{PROGRAMS}:{os.environ['PATH']}"
        return os.environ | {
            "PATH": path,
            "KUBECONFIG": str(self.folder / "kubeconfig"),
            "CONTAINERD_ADDRESS": "/run/containerd.sock",
            "CONTAINERD_NAMESPACE": "k8s.io",
            "HOME": str(self.folder),
        }

    def run(self, *command: str, text: str = "", folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
        """Run a command in the node's namespaces, with `text` as its input, and return how it ended."""
        namespaces = ("--mount", "--net", "--pid", "--uts", "--ipc")
        enter = ["nsenter", f"--target={self._init}", *namespaces, f"--wd={folder}"]
        return subprocess.run(
            [*enter, *command], env=self.environment, input=text, capture_output=True, text=True, check=False
        )

    def remove(self) -> None:
        """End the node and remove what is left of it, or of one that was here before."""
        if self._process:
            self._process.kill()
            self._process.wait()
        deadline = time.monotonic() + GONE_SECONDS
        while left := self.left():
            for folder in left:
                try:
                    folder.rmdir()
                except OSError:
                    if time.monotonic() > deadline:
                        raise
            time.sleep(0.05)
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def left() -> list[Path]:
        """List the cgroups of the node that exist, children first."""
        roots = [*Path("/sys/fs/cgroup").glob(f"{CGROUP}"), *Path("/sys/fs/cgroup").glob(f"*/{CGROUP}")]
        found = [Path(folder) for root in roots for folder, _, _ in os.walk(root, topdown=False)]
        return [folder for folder in found if folder.exists()]
