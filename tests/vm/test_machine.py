"""The driver of the VM, without one: this runs with the unit tests."""

import subprocess
from pathlib import Path

import pytest

from tests.vm import disk
from tests.vm import machine as machines
from tests.vm.machine import Machine, MachineError

ENDS = ["sh", "-c", "echo 'no such device' >&2; exit 1"]
GOES_ON = ["sleep", "60"]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A VM whose QEMU is another program: what QEMU is given comes after it."""
    (tmp_path / "ssh_config").write_text(f"Host {tmp_path.name}\n  HostName 127.0.0.1\n  Port 9\n")
    (tmp_path / "console.log").write_text("Kernel panic - not syncing: no disk\n")
    monkeypatch.setattr(machines, "acceleration", lambda _folder: ("-accel", "tcg"))
    return Machine(tmp_path, tmp_path / "disk.raw", {22: 9}, flushes=False)


def test_a_machine_that_ends_says_why(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "qemu", lambda *_: [*ENDS])
    with pytest.raises(MachineError, match=r"(?s)QEMU ended: no such device.*Kernel panic"):
        machine.start()


def test_a_machine_without_a_login_is_given_up_and_gone(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "qemu", lambda *_: ["sh", "-c", " ".join(GOES_ON)])
    monkeypatch.setattr(machines, "BOOT_SECONDS", 0)
    with pytest.raises(MachineError, match="no login within 0 s"):
        machine.start()
    assert not machine.runs()


def test_the_kernel_that_kvm_does_not_boot_is_emulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/kvm may be there and not work: nested, it boots no ordinary kernel."""
    monkeypatch.setattr("os.access", lambda *_: True)
    console = tmp_path / "console.log"
    for text, status, expected in (
        ("", 1, "tcg,thread=multi"),
        ("", 0, "tcg,thread=multi"),
        ("Kernel panic", 0, "kvm"),
    ):
        console.write_text(text)
        monkeypatch.setattr(machines, "qemu", lambda *_, status=status: ["sh", "-c", f"exit {status}"])
        machines.acceleration.cache_clear()
        assert machines.acceleration(tmp_path)[1] == expected
    machines.acceleration.cache_clear()


def test_what_is_not_installed_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program: None if program.startswith("qemu") else program)
    with pytest.raises(
        pytest.fail.Exception, match=r"apt-get install --no-install-recommends qemu-system-x86 qemu-utils$"
    ):
        disk.build(tmp_path / "vm")
    assert not (tmp_path / "vm").exists()


def test_qemu_dies_with_who_started_it(tmp_path: Path) -> None:
    """A VM that goes on after a run of tests that was killed would keep a core busy."""
    assert machines.qemu(tmp_path, (), 512, 1)[:3] == ["setpriv", "--pdeathsig", "KILL"]
    assert subprocess.run(["setpriv", "--pdeathsig", "KILL", "true"], check=False).returncode == 0
