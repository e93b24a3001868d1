"""A Kubernetes node in namespaces of its own: `node_init.py enter FOLDER PROGRAMS CGROUP` becomes its PID 1.

Processes, mounts, network, cgroups and the files of /run and /var/log are the node's alone. When PID 1 ends, the kernel
ends everything that it started, and mounts and network are gone with the last process.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.kubernetes.configuration import ADDRESS, BRIDGE, SERVICES, commands, files

CGROUPS = Path("/sys/fs/cgroup")
START_SECONDS = 120
KUBELETS = {"vm/overcommit_memory": "1", "kernel/panic": "10", "kernel/panic_on_oops": "1"}
"""Settings that the kubelet would write, and does not where it reads these values."""


def run(*command: str) -> None:
    """Run a command; CalledProcessError if it fails."""
    subprocess.run(command, check=True)


def enter(name: str) -> None:
    """Move this process into cgroups of this name, of which it then sees no parents, and become PID 1."""
    if (CGROUPS / "cgroup.controllers").exists():
        hierarchies = [CGROUPS]
    else:
        hierarchies = [
            folder for folder in CGROUPS.iterdir() if (folder / "cgroup.procs").exists() and not folder.is_symlink()
        ]
    for hierarchy in hierarchies:
        own = hierarchy / name
        own.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):  # v1 has none at first, and takes no process
            if (hierarchy / "cgroup.clone_children").exists() and (own / file).exists():
                (own / file).write_text((hierarchy / file).read_text())
        (own / "cgroup.procs").write_text(str(os.getpid()))
    namespaces = ("--mount", "--net", "--pid", "--cgroup", "--uts", "--ipc")
    boot = [sys.executable, "-m", "tests.kubernetes.node_init", "boot", *sys.argv[2:]]
    os.execvp("unshare", ["unshare", *namespaces, "--fork", "--mount-proc", "--kill-child", *boot])


def mount() -> None:
    """Mount what the node writes outside its folder. The kernel's settings are the machine's, and stay as they are."""
    # The kubelet passes mounts on to containers.
    run("mount", "--make-rshared", "/")
    for folder in ("/run", "/var/log"):
        run("mount", "-t", "tmpfs", "-o", "mode=0755", "node", folder)
    run("mount", "--bind", "/proc/sys", "/proc/sys")
    run("mount", "--bind", "/proc/sys/net", "/proc/sys/net")
    run("mount", "-o", "remount,bind,ro", "/proc/sys")
    for name, value in KUBELETS.items():
        shown = Path("/run", name.replace("/", "."))
        shown.write_text(value)
        run("mount", "--bind", str(shown), f"/proc/sys/{name}")
    mounted = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    for _, target, kind, options, *_ in mounted:
        if kind == "cgroup2":
            run("umount", target)
            run("mount", "-t", kind, kind, target)
        elif kind == "cgroup":
            controllers = [
                option for option in options.split(",") if option not in {"rw", "relatime", "nosuid", "nodev", "noexec"}
            ]
            named = [option for option in controllers if option.startswith("name=")]
            run("umount", target)
            run("mount", "-t", kind, "-o", ",".join(["none", *named] if named else controllers), kind, target)
    if (CGROUPS / "cgroup.controllers").exists():
        # v2 gives no controller to the children of a cgroup that has processes.
        (CGROUPS / "init").mkdir(exist_ok=True)
        (CGROUPS / "init/cgroup.procs").write_text("1")
        (CGROUPS / "cgroup.subtree_control").write_text(
            " ".join(f"+{controller}" for controller in (CGROUPS / "cgroup.controllers").read_text().split())
        )


def connect() -> None:
    """Create the bridge of the pods, which is the node's only interface."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{ADDRESS}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    run("ip", "route", "add", SERVICES, "dev", BRIDGE)  # until kube-proxy's rules send them on
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    # Else the answer of a Service to a pod of the same bridge would come from an address that the pod did not ask.
    Path("/proc/sys/net/bridge/bridge-nf-call-iptables").write_text("1")


def boot(folder: Path, programs: Path) -> None:
    """Start the daemons one after the other, then collect processes until a daemon ends: that ends the node."""
    mount()
    connect()
    for path, text in files(folder).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    run("openssl", "genrsa", "-out", str(folder / "service-account.key"), "2048")
    os.environ["PATH"] = f"{programs}/kubernetes:{programs}:{os.environ['PATH']}"
    os.environ["KUBECONFIG"] = str(folder / "kubeconfig")
    daemons: dict[int, str] = {}
    for command, probe in commands(folder):
        with (folder / f"{command[0]}.log").open("wb") as log:
            daemons[subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log).pid] = command[0]
        deadline = time.monotonic() + START_SECONDS
        while probe and subprocess.run(probe, capture_output=True, check=False).returncode:
            if time.monotonic() > deadline:
                sys.exit(f"error: {command[0]} does not answer: see {folder}/{command[0]}.log")
            time.sleep(0.2)
    (folder / "booted").touch()
    while (ended := os.wait())[0] not in daemons:
        pass
    sys.exit(f"error: {daemons[ended[0]]} ended ({ended[1]}): see {folder}/{daemons[ended[0]]}.log")


if __name__ == "__main__":
    verb, folder, programs, cgroup = sys.argv[1:]
    if verb == "enter":
        enter(cgroup)
    boot(Path(folder), Path(programs))
