"""The log: what the app writes is in a journal of its own, and takes nothing from others."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

FOLDER = "/run/systemd/journal"
# By the first a service's output comes; the second takes messages with any field; the third is that of syslog(3).
SOCKETS = {
    "stdout": f"connect('{FOLDER}/stdout')",
    "native": f"socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'MESSAGE=x\\n', '{FOLDER}/socket')",
    "syslog": "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'<13>x', '/dev/log')",
}
# journald has room for 4,096 connections. They are held for as long as the program waits.
EXHAUST = f"""
import socket, time
held = []
for _ in range(4200):
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect("{FOLDER}/stdout")
        client.sendall(b"x\\n\\n6\\n0\\n0\\n0\\n0\\n")
        held.append(client)
    except OSError:
        client.close()
print(len(held), flush=True)
time.sleep(6)
"""
# Text that does not compress, 80 kB a message.
FLOOD = """
import base64, os, socket
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
for number in range({count}):
    log.sendto(f"<13>flood: {mark} {{number}} ".encode() + base64.b64encode(os.urandom(60000)), "/dev/log")
"""
FORGE = f"""
import socket, sys
fields = b"MESSAGE=forged\\nMESSAGE_ID=7ad2d189f7e94e70a38c781354912448\\nEXIT_STATUS=none\\nEXIT_STATUS=0\\n"
for path in ("{FOLDER}/socket", "/dev/log"):
    try:
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(fields, path)
    except OSError:
        pass
print("hello")
sys.exit(7)
"""
SMALL = "/etc/systemd/journald@app.conf.d/90-test.conf"
MIB = 2**20

Write = Callable[[], str]


def until(shown: Callable[[], str], wanted: str, seconds: float = 10) -> bool:
    """Whether a line comes: journald is slow on a machine that is."""
    deadline = time.monotonic() + seconds
    while wanted not in shown():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


@pytest.fixture(autouse=True)
def alone(host: Any) -> None:
    """Wait for the end of the one-off command of the test before: one runs at a time."""
    running = "systemctl list-units --plain --no-legend --state=active,activating,deactivating 'run@*'"
    host.check_output(f'for attempt in $(seq 300); do [ -n "$({running})" ] || exit 0; sleep 0.2; done; exit 1')


@pytest.fixture
def say(host: Any) -> Write:
    """Let another service write a line. Returns the line."""

    def write() -> str:
        line = f"line-{uuid.uuid4().hex}"
        host.check_output(f"systemd-run --quiet --wait --collect echo {line}")
        return line

    return write


@pytest.fixture
def of_host(host: Any) -> Callable[[], str]:
    """The last lines of the host's journal."""
    return lambda: str(host.check_output("journalctl --quiet --no-pager --output=cat --lines=2000"))


def test_outside_the_sockets_are_reached(outside: Any) -> None:
    assert set(outside(SOCKETS.values()).values()) == {"allowed"}


def test_it_reaches_no_socket_of_the_journal_but_that_of_syslog(try_in_app: Any) -> None:
    answers = try_in_app(SOCKETS.values())
    assert answers.pop(SOCKETS["syslog"]) == "allowed"
    assert set(answers.values()) <= {"EACCES", "ECONNREFUSED", "ENOENT", "EPERM"}


def test_no_line_of_another_service_is_lost(
    deployer: Any, one_off: Any, say: Write, of_host: Callable[[], str]
) -> None:
    before = say()
    # While it holds what it got.
    deployer.check_output(f"nohup {one_off(EXHAUST)} >/dev/null 2>&1 & sleep 3")
    lines = [before, *(say() for _ in range(5))]
    assert [line for line in lines if not until(of_host, line)] == []


def test_what_it_writes_is_not_in_the_hosts_journal(host: Any, deployer: Any, run_in_app: Any, of_host: Any) -> None:
    mark = f"mark-{uuid.uuid4().hex}"
    run_in_app(FLOOD.format(count=3, mark=mark))
    deployer.check_output(f"slipway run -- echo {mark}-stdout")
    logged = f"journalctl --namespace=app --quiet --output=cat --grep={mark} --case-sensitive"
    assert until(lambda: str(deployer.run(f"{logged} | cut -c1-100").stdout), f"{mark} 2")
    assert f"{mark}-stdout" in deployer.check_output(f"{logged} | cut -c1-100")
    # PID 1 logs the command of a one-off nowhere.
    assert mark not in of_host()


def test_its_journal_is_bounded(host: Any, run_in_app: Any, small_journal: Callable[[], int]) -> None:
    """By app_journal_max; here by less."""
    for _ in range(4):
        run_in_app(FLOOD.format(count=200, mark="bound"))
    assert 0 < small_journal() <= 20 * MIB


@pytest.fixture
def small_journal(host: Any) -> Iterator[Callable[[], int]]:
    """Allow 16 MiB; returns a function that tells the size on disk."""
    assert host.file("/etc/systemd/journald@app.conf").contains("^SystemMaxUse=1G$")
    restart = "systemctl restart systemd-journald@app.service"
    host.check_output(
        f"mkdir -p {SMALL.rpartition('/')[0]} && printf '[Journal]\\nSystemMaxUse=16M\\n' >{SMALL} && {restart}"
    )
    size = "journalctl --namespace=app --sync && du --bytes --total /var/log/journal/*.app | tail -n 1"
    yield lambda: int(host.check_output(size).split()[0])
    host.check_output(f"rm -r {SMALL.rpartition('/')[0]} && {restart}")


def test_a_journald_that_dies_comes_back_and_takes_no_process_along(
    host: Any, deployer: Any, status: Any, ask: Any
) -> None:
    unit = f"app@{status['live']}.service"
    process = host.check_output(f"systemctl show --property=MainPID --value {unit}")
    host.check_output("systemctl kill --signal=KILL systemd-journald@app.service")
    assert deployer.check_output("slipway run -- echo here") == "here"
    mark = f"mark-{uuid.uuid4().hex}"
    assert ask("/attacker/inside", method="POST", body=f"print({mark!r}, flush=True)\nreturn 0").status == 200
    assert until(lambda: str(deployer.check_output("slipway logs")), mark), "its standard output was kept"
    assert host.check_output(f"systemctl show --property=MainPID --value {unit}") == process


def test_it_forges_nothing_about_its_end(deployer: Any, one_off: Any) -> None:
    done = deployer.run(one_off(FORGE))
    assert (done.rc, done.stdout.splitlines()[-1:]) == (7, ["hello"]), done.stderr


def test_a_long_line_is_printed_whole(deployer: Any, one_off: Any) -> None:
    assert deployer.check_output(one_off("print('x' * 20000)")) == "x" * 20000


def test_what_a_syslog_client_writes_is_in_the_log(deployer: Any, run_in_app: Any) -> None:
    mark = f"mark-{uuid.uuid4().hex}"
    run_in_app(
        "import logging.handlers\nlog = logging.getLogger()\n"
        f"log.addHandler(logging.handlers.SysLogHandler('/dev/log'))\nlog.error({mark!r})"
    )
    assert until(lambda: str(deployer.check_output("slipway logs")), mark)
