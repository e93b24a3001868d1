"""The firewall, from outside: what is closed, and that nobody is locked out, not even by a controller that dies.

`ansible/molecule/shared/verify/hardening/test_firewall.py` has its rules one by one.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from labs.command import ROOT, progress
from tests.killing import family
from tests.vm.agreement import assert_all_agree
from tests.vm.conftest import CLOSED
from tests.vm.machine import Machine
from tests.vm.site import Site

PLAY = ROOT / "ansible/molecule/shared/verify/hardening/firewall.yml"
LISTENER = "import socket, sys; server = socket.create_server(('', int(sys.argv[1])))\nwhile True: server.accept()[0].sendall(b'hello')"
ANSWER_SECONDS = 10
RULES = "nft --stateless --terse list table inet slipway_firewall"
WAY_BACK_SECONDS = 60
"""`__hardening_undo_seconds`."""


@pytest.fixture(scope="module")
def machine_on(start: Callable[..., Machine], site: Site) -> Machine:
    """A VM on which something else listens, on two ports."""
    machine = start()
    assert_all_agree(site)
    for port in (443, CLOSED):
        machine.shell(f'systemd-run --quiet --unit=bystander-{port} python3 -c "{LISTENER}" {port}')
    machine.wait(lambda: machine.shell(f"ss -Htln sport = {CLOSED} or sport = 443").count("LISTEN") == 2)
    return machine


def answers(machine: Machine, port: int) -> bool:
    """Whether a port answers from outside. QEMU accepts each connection; only the VM sends something."""
    try:
        with socket.create_connection(("127.0.0.1", machine.ports[port]), timeout=ANSWER_SECONDS) as connection:
            if port == 80:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return bool(connection.recv(1))
    except OSError:
        return False


def begin_firewall(site: Site, **variables: Any) -> subprocess.Popen[str]:
    """Start to apply the rules with these variables, as `slipway provision` does."""
    command = [
        *(str(Path(sys.executable).parent / "ansible-playbook"), f"--inventory={site.folder}"),
        *("--extra-vars", json.dumps(variables), str(PLAY)),
    ]
    return subprocess.Popen(
        command,
        cwd=ROOT / "ansible",
        env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible/ansible.cfg")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_only_the_ports_of_ssh_and_the_site_are_open(machine_on: Machine) -> None:
    ports = (22, 80, 443, CLOSED)
    # Without HTTPS, 443 is closed, too.
    assert [answers(machine_on, port) for port in ports] == [True, True, False, False]
    machine_on.shell("systemctl stop firewall")
    assert [answers(machine_on, port) for port in ports] == [True, True, True, True]
    machine_on.shell("systemctl start firewall")
    assert [answers(machine_on, port) for port in ports] == [True, True, False, False]


def test_rules_that_lock_out_are_refused_and_taken_back(machine_on: Machine, site: Site) -> None:
    before = machine_on.shell(RULES)
    run = begin_firewall(site, __hardening_ssh_ports=["23"])
    printed, _ = run.communicate()
    assert run.returncode != 0
    assert "the rules are those before again" in " ".join(printed.split()), printed[-3000:]
    assert machine_on.shell(RULES) == before


@pytest.fixture
def locked_out(machine_on: Machine, site: Site) -> float:
    """The controller dies when rules without SSH are in force. The moment, of the monotonic clock."""
    run = begin_firewall(site, __hardening_ssh_ports=["23"], __hardening_second_connection="sleep 600")
    machine_on.wait(lambda: not answers(machine_on, 22), 300)
    locked_at = time.monotonic()
    for pid in family(run.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    run.communicate()
    return locked_at


def test_the_way_back_needs_no_controller(machine_on: Machine, site: Site, locked_out: float) -> None:
    machine_on.wait(lambda: answers(machine_on, 22), WAY_BACK_SECONDS * 4)
    progress("vm", f"locked out for {time.monotonic() - locked_out:.0f} s")
    assert "dport 22 jump ssh" in machine_on.shell(RULES)
    assert not answers(machine_on, CLOSED)
    assert site.serving()


@pytest.mark.usefixtures("locked_out")
def test_a_power_cut_while_rules_are_tried_leaves_those_before(machine_on: Machine, site: Site) -> None:
    machine_on.cut()
    machine_on.start()
    assert "dport 22 jump ssh" in machine_on.shell(RULES)
    assert_all_agree(site)
