"""A VM in QEMU: started, switched off, cut off from power. Its ports are on 127.0.0.1.

A power cut is a SIGKILL for QEMU and for its disk's store (tests/vm/store.py): what the guest did not flush is lost.
"""

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.vm.store import Store

CONSOLE = "console=ttyS0"
KVM_SECONDS = 30
"""For the kernel to find that it has no disk."""
BOOT_SECONDS = 600
"""Without KVM, on a busy machine."""
CONNECT_SECONDS = 60
"""Shorter attempts count as penalties in sshd (PerSourcePenalties), and without KVM a login takes a while."""


class MachineError(RuntimeError):
    """A VM does not start or does not answer; the text has the end of its console."""


@dataclass
class Machine:
    """One VM, with the files of a host in its folder (slipway.controller.local.files)."""

    folder: Path
    disk: Path
    ports: dict[int, int]
    """Each with the one on 127.0.0.1."""
    memory_mb: int = 1024
    cores: int = 1
    flushes: bool = True
    """False: the disk ignores flushes, which is fast, and nothing holds after a power cut."""
    tap: str | None = None
    """An interface of this machine that is on the VM's own network as well (tests/vm/uplink.py)."""
    _store: Store | None = field(default=None, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> float:
        """Boot. Returns the seconds until a login succeeded.

        Raises:
            MachineError: it ends, or there is no login within BOOT_SECONDS.
        """
        began = time.monotonic()
        self.switch_on()
        while True:
            if self.attempt("true", user="admin").returncode == 0:
                return time.monotonic() - began
            if not self.runs() or time.monotonic() > began + BOOT_SECONDS:
                ended = f"no login within {BOOT_SECONDS} s" if self.runs() else f"QEMU ended: {self._errors()}"
                self.cut()
                raise MachineError(f"{ended}\n{self.console()[-3000:]}")
            time.sleep(1)

    def switch_on(self) -> None:
        """Begin to boot."""
        command = qemu(self.folder, acceleration(self.folder), self.memory_mb, self.cores)
        self._store = Store.serve(self.disk) if self.flushes else None
        options = [
            *("-append", f"root=/dev/vda rw mitigations=off {CONSOLE}"),
            *("-drive", f"format=raw,if=virtio,{drive(self.disk, self._store)}"),
            *network(self.ports, self.tap),
            *("-device", "virtio-rng-pci"),
        ]
        with (self.folder / "qemu.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
            )

    def runs(self) -> bool:
        """Tell whether QEMU runs."""
        return self._process is not None and self._process.poll() is None

    def cut(self) -> None:
        """Cut the power."""
        if self._store:
            self._store.cut()
        if self._process:
            self._process.kill()
            self._process.wait()

    def shut_down(self) -> None:
        """Switch off, as `systemctl poweroff` does, and wait for it.

        Raises:
            MachineError: it goes on for BOOT_SECONDS.
        """
        self.attempt("sudo systemctl poweroff", user="admin")
        assert self._process
        try:
            self._process.wait(BOOT_SECONDS)
        except subprocess.TimeoutExpired:
            self.cut()
            raise MachineError(f"it did not switch off within {BOOT_SECONDS} s\n{self.console()[-3000:]}") from None
        self.cut()  # the store

    def wait(self, is_so: Callable[[], bool], seconds: float = BOOT_SECONDS) -> None:
        """Wait until something is so; while the VM starts, its answers are missing, which is no error.

        Raises:
            MachineError: it is not so within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                if is_so():
                    return
            except (MachineError, AssertionError) as error:
                last = f": {error}"
            else:
                last = ""
            if time.monotonic() > deadline:
                raise MachineError(f"not so within {seconds:.0f} s{last}\n{self.console()[-3000:]}")
            time.sleep(0.5)

    def attempt(self, command: str, *, user: str) -> subprocess.CompletedProcess[str]:
        """Run a command there as a user."""
        words = self._ssh(command, user)
        return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def begin(self, command: str, *, user: str) -> subprocess.Popen[str]:
        """Start a command there as a user. Its output is a pipe, and ends with the VM."""
        words = self._ssh(command, user)
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def _ssh(self, command: str, user: str) -> list[str]:
        options = {"ConnectTimeout": CONNECT_SECONDS, "BatchMode": "yes"}
        words = ["ssh", "-F", str(self.folder / "ssh_config"), *(f"-o{key}={value}" for key, value in options.items())]
        return [*words, f"{user}@{self.folder.name}", command]

    def shell(self, script: str) -> str:
        """Run a script there as root. Returns what it prints.

        Raises:
            MachineError: it fails.
        """
        done = self.attempt(f"sudo sh -euc {shlex.quote(script)}", user="admin")
        if done.returncode:
            raise MachineError(f"{script[:200]}: status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def console(self) -> str:
        """Return what the kernel and systemd wrote to the console since the start."""
        return (self.folder / "console.log").read_text(errors="replace")

    def _errors(self) -> str:
        return (self.folder / "qemu.log").read_text(errors="replace")[-1000:]


def copy(below: Path, disk: Path) -> Path:
    """Copy a disk. Returns the new one."""
    command = ["cp", "--sparse=always", "--reflink=auto", str(below), str(disk)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return disk


def drive(disk: Path, store: Store | None) -> str:
    """Return where QEMU finds a disk; without a store it ignores flushes."""
    return f"file={store.url},cache=writeback" if store else f"file={disk},cache=unsafe"


def network(ports: dict[int, int], tap: str | None) -> list[str]:
    """Return the options for one interface: QEMU's own network, which forwards ports, and a tap on the same hub."""
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{outside}-:{inside}" for inside, outside in ports.items())
    device = ("-device", "virtio-net-pci,netdev=net")
    if tap is None:
        return ["-netdev", f"user,id=net{forwards}", *device]
    sides = ["user", "tap"]
    hub = [word for side in sides for word in ("-netdev", f"hubport,id=hub-{side},hubid=0,netdev={side}")]
    return [
        *("-netdev", f"user,id=user,ipv6=off{forwards}"),
        *("-netdev", f"tap,id=tap,ifname={tap},script=no,downscript=no"),
        *hub,
        *("-netdev", "hubport,id=net,hubid=0", *device),
    ]


def qemu(folder: Path, accelerated: Sequence[str], memory_mb: int, cores: int) -> list[str]:
    """Return the command that boots the folder's kernel, without a disk. It dies with the caller."""
    return [
        *("setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-machine", "q35", *accelerated),
        *("-m", str(memory_mb), "-smp", str(cores), "-nodefaults", "-display", "none"),
        *("-kernel", str(folder / "vmlinuz"), "-initrd", str(folder / "initrd")),
        *("-chardev", f"file,id=console,path={folder / 'console.log'}", "-serial", "chardev:console"),
    ]


@cache
def acceleration(folder: Path) -> tuple[str, ...]:
    """Return the options for KVM if the kernel boots by it, else those for emulation, which is ten times slower.

    /dev/kvm alone says little: nested in some clouds' VMs it boots no ordinary kernel.
    """
    kvm = ("-accel", "kvm", "-cpu", "host")
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        command = qemu(folder, kvm, 512, 1)
        # With no disk and no shell to fall back to it panics, restarts at once, and QEMU ends.
        append = ("-append", f"root=/dev/none rootdelay=1 panic=-1 rdinit=/none {CONSOLE}", "-no-reboot")
        try:
            done = subprocess.run([*command, *append], capture_output=True, timeout=KVM_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            done = None
        if done and done.returncode == 0 and "Kernel panic" in (folder / "console.log").read_text(errors="replace"):
            return kvm
    # Page tables of five levels are slower to emulate.
    return ("-accel", "tcg,thread=multi", "-cpu", "max,la57=off")
