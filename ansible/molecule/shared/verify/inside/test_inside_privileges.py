"""Privileges: none is taken, and nothing is run that was written."""

from collections.abc import Iterable
from typing import Any

import pytest

RUN = "open('{0}', 'w').write('#!/bin/sh'); os.chmod('{0}', 0o755); os.execv('{0}', ['run'])"
SET_ID = "open('{own}/{0:o}', 'w').close(); os.chmod('{own}/{0:o}', {0})"

# What somebody without privilege may do outside of the sandbox, by what it is.
ONLY_THE_SANDBOX = {
    "user namespace": "checked(libc.unshare(0x10000000))",
    "read a keyring": "call('keyctl', 0, -3, 1)",
    "add a key": "call('add_key', b'user', b'name', b'value', 5, -2)",
    "io_uring": "call('io_uring_setup', 4, ctypes.create_string_buffer(256))",
    "user fault handling": "call('userfaultfd', 1)",
    "ptrace": "checked(libc.ptrace(0, 0, None, None))",
    "personality": "checked(libc.personality(0x0040000))",
    "memory to write and run": "mmap.mmap(-1, 4096, prot=7)",
    "memory written, then to run": "checked(libc.mprotect(ctypes.c_void_p(libc.mmap(None, 4096, 3, 0x22, -1, 0)), 4096, 5))",
    "memory as a file": "os.memfd_create('code')",
    "a program written to its state": RUN.replace("{0}", "{own}/run"),
    "a program written to /tmp": RUN.replace("{0}", "/tmp/run-{who}"),
    "code written to its state": "open('{own}/code', 'w').write(' ' * 4096); "
    "mmap.mmap(os.open('{own}/code', 0), 4096, mmap.MAP_PRIVATE, 5)",
    "a set-user-id file": SET_ID.replace("{0:o}", "u").replace("{0}", "0o4755"),
    "a set-group-id file": SET_ID.replace("{0:o}", "g").replace("{0}", "0o2755"),
    "a file made set-user-id": "os.open('{own}/s', os.O_CREAT | os.O_WRONLY, 0o4755)",
    "a set-group-id folder": "os.makedirs('{own}/d', exist_ok=True); os.chmod('{own}/d', 0o2755)",
}
# What nobody may do who is not root.
ONLY_ROOT = {
    "setuid": "os.setuid(0)",
    "setgid": "os.setgid(0)",
    "setresuid": "os.setresuid(0, 0, 0)",
    "setgroups": "os.setgroups([0])",
    "mount namespace": "checked(libc.unshare(0x20000))",
    "cgroup namespace": "checked(libc.unshare(0x2000000))",
    "uts namespace": "checked(libc.unshare(0x4000000))",
    "ipc namespace": "checked(libc.unshare(0x8000000))",
    "pid namespace": "checked(libc.unshare(0x20000000))",
    "network namespace": "checked(libc.unshare(0x40000000))",
    "mount": "checked(libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))",
    "umount": "checked(libc.umount2(b'/tmp', 2))",
    "chroot": "os.chroot('/tmp')",
    "a device": "os.mknod('{own}/disk', 0o60600, os.makedev(7, 0))",
    "a file with capabilities": "open('{own}/cap', 'w').close(); "
    "os.setxattr('{own}/cap', 'security.capability', struct.pack('<5I', 0x2000001, 1, 0, 0, 0))",
    "bpf": "call('bpf', 0, ctypes.create_string_buffer(128), 128)",
    "perf": "call('perf_event_open', ctypes.create_string_buffer(128), 1, -1, -1, 0)",
    "a kernel module": "call('init_module', b'', 0, b'')",
    "kexec": "call('kexec_load', 0, 0, None, 0)",
    "swap": "checked(libc.swapon(b'/tmp/x', 0))",
    "reboot": "checked(libc.reboot(0))",
    "the host's name": "socket.sethostname('taken')",
    "the clock": "checked(libc.clock_settime(0, struct.pack('qq', 0, 0)))",
    "real-time": "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
    "priority": "os.nice(-5)",
}
OWN = {"app": "/var/lib/app", "nginx": "/var/lib/nginx", "outside": "/home/deploy"}
REFUSED = {"EPERM", "EACCES", "ENOSYS"}


def lines_for(who: str, lines: Iterable[str]) -> list[str]:
    return [line.replace("{own}", OWN[who]).replace("{who}", who) for line in lines]


@pytest.fixture(scope="module")
def results(try_all: Any, victim: str) -> dict[str, str]:
    """What came of each, by what it is."""
    attempts = ONLY_THE_SANDBOX | ONLY_ROOT
    answers = try_all(lines_for(victim, attempts.values()))
    return dict(zip(attempts, answers.values(), strict=True))


@pytest.mark.parametrize("what", ONLY_THE_SANDBOX | ONLY_ROOT)
def test_it_is_refused(results: dict[str, str], what: str) -> None:
    assert results[what] in REFUSED


def test_outside_of_the_sandbox_it_is_allowed(outside: Any) -> None:
    """Else its refusal would say nothing."""
    answers = outside(lines_for("outside", ONLY_THE_SANDBOX.values()))
    assert {line: answer for line, answer in answers.items() if answer not in {"allowed", "became"}} == {}


def test_there_is_no_capability(run: Any) -> None:
    lines = run("print(open('/proc/self/status').read())").splitlines()
    fields = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
    assert fields["NoNewPrivs"] == "1"
    assert {int(fields[f"Cap{which}"], 16) for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {0}
    assert fields["Seccomp"] == "2"
