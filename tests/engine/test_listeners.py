"""What listens, as the kernel lists it: read from tables of this machine and of others."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.model import listeners
from slipway.model.listeners import TcpSocket

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ROOT = Path(__file__).resolve().parents[2]


def listener(address: str, port: int = 8000) -> TcpSocket:
    return TcpSocket(address, port, 0, listeners.LISTENING, 0)


def test_what_listens_is_read_from_the_kernel_with_its_queue() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as four,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
        socket.create_connection(four.getsockname()),
    ):
        found = {each.port: each for each in listeners.listening(listeners.tcp_sockets(os.getpid()))}
        first, second = found[four.getsockname()[1]], found[six.getsockname()[1]]
    assert (first.address, first.queue) == ("127.0.0.1", 1)
    assert (second.address, second.queue) == ("::1", 0)
    assert str(second) == f"[::1]:{second.port}"


def test_a_process_that_is_gone_has_no_sockets() -> None:
    assert listeners.tcp_sockets(2**22 + 1) == []


@pytest.mark.parametrize(
    ("address", "reached_at"),
    [
        ("0.0.0.0", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.5", "127.0.0.5"),
        ("::", "::1"),
        ("::1", "::1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("::ffff:0.0.0.0", "127.0.0.1"),
    ],
)
def test_a_client_reaches_what_listens_on_any_address(address: str, reached_at: str) -> None:
    assert listener(address).reached_at == reached_at


@pytest.mark.parametrize(
    ("allowed", "found", "seconds", "chosen"),
    [
        ([8000], [8000], 0, 8000),
        ([8000, 9000], [9000, 8000], 0, 8000),
        ([8000, 9000], [9000], 1, None),
        ([8000, 9000], [9000], 5, 9000),
        ([8000, 9000, 9100], [9000, 9100], 60, None),
        ([8000], [], 60, None),
    ],
)
def test_a_port_is_chosen(allowed: list[int], found: list[int], seconds: float, chosen: int | None) -> None:
    assert listeners.choose(allowed, found, seconds) == chosen


def test_a_connection_is_no_listener() -> None:
    row = "   0: 0100007F:1F40 0100007F:C0DE 01 00000000:00000000 00:00000000 00000000 0 0 1\n"
    assert listeners.listening(listeners.parse(HEAD + row)) == []
    assert listeners.open_ports([8000], listeners.parse(HEAD + row.replace(" 01 ", " 0A "))) == [8000]


def test_the_oldest_python_of_an_image_reads_it() -> None:
    """Ruff knows what each version has; the image's own Python runs these two."""
    files = [ROOT / "slipway/model/listeners.py", ROOT / "slipway/contract/inside.py"]
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--target-version=py37",
        "--select=E9,F",
        *map(str, files),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
