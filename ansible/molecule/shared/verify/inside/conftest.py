"""Attacks from inside: as the app, by a request that runs Python in it, and as nginx, by a unit with nginx's own sandbox.

An attempt is a line of Python. `try_all` tells what came of each: "allowed", "became" if another program runs in its
place, or the name of the error. The same is tried `outside` of a sandbox, to see that there is something to refuse.
"""

import base64
import http.client
import json
import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

CACHE = Path(__file__).resolve().parents[5] / ".cache" / "hosts"

Run = Callable[[str], str]
"""Run a program and return what it printed."""
TryAll = Callable[[Iterable[str]], dict[str, str]]

# Numbers of system calls that libc has no function for.
PRELUDE = """
import ctypes, errno, json, mmap, os, platform, resource, signal, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
intel = platform.machine() == "x86_64"
NUMBERS = {"add_key": (248, 217), "keyctl": (250, 219), "bpf": (321, 280), "perf_event_open": (298, 241),
           "init_module": (175, 105), "userfaultfd": (323, 282), "kexec_load": (246, 104), "memfd_secret": (447, 447),
           "io_uring_setup": (425, 425), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424)}

def checked(result):
    if result is None or result in (-1, 2**64 - 1):
        raise OSError(ctypes.get_errno(), "refused")
    return result

def call(name, *arguments):
    return checked(libc.syscall(NUMBERS[name][0 if intel else 1], *arguments))

def peek(pid):
    ours, theirs = ctypes.create_string_buffer(8), struct.pack("PN", 4096, 8)
    checked(libc.process_vm_readv(pid, struct.pack("PN", ctypes.addressof(ours), 8), 1, theirs, 1, 0))

def connect(address, family=socket.AF_UNIX, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as client:
        client.settimeout(1)
        client.connect(address)
        if family != socket.AF_UNIX:
            client.send(b"?")
            if client.recv(16) != b"here":
                raise OSError(errno.ENOMSG, "no answer")
"""

# Each in a process of its own, all at the same time: some wait until nobody answers.
TRY = """
def attempt(line):
    try:
        exec(line)
    except TimeoutError:
        return "ETIMEDOUT"
    except socket.gaierror as error:
        return "EAI"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    return "allowed"

def start(line):
    told, tell = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(tell, attempt(line).encode())
        os._exit(0)
    os.close(tell)
    return pid, told

def end(pid, told):
    os.waitpid(pid, 0)
    return os.read(told, 100).decode() or "became"

lines = {lines!r}
print(json.dumps(dict(zip(lines, [end(*child) for child in [start(line) for line in lines]]))))
"""


def by(run: Run) -> TryAll:
    """Try lines where `run` runs programs."""
    return lambda lines: json.loads(run(PRELUDE + TRY.replace("{lines!r}", repr(list(lines)))))


@pytest.fixture(scope="session")
def run_in_app(name: str) -> Run:
    """Run a program inside a request of the app, and return what it printed."""
    inventory = json.loads((CACHE / name / "inventory.yml").read_text().split("\n", 1)[1])
    address = inventory["app"]["hosts"][name]["test_url"].removeprefix("http://")

    def run(text: str) -> str:
        connection = http.client.HTTPConnection(address, timeout=50)
        connection.request("POST", "/attacker/run", body=text, headers={"Host": "localhost"})
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        assert response.status == 200, body
        answer = json.loads(body)
        assert answer["status"] == 0, answer["errors"]
        return str(answer["output"]).strip()

    return run


@pytest.fixture(scope="module")
def run_in_nginx(host: Any) -> Run:
    """Run a program in a unit that has all that nginx's has: a copy of it, with another program to start."""
    unit = "/run/systemd/system/attacker.service"
    own = (
        "[Service]\nExecStartPre=\nExecStart=\nExecStart=/usr/bin/python3 /usr/local/lib/attacker.py\nRestart=no\n"
        "RuntimeDirectoryPreserve=yes\nType=oneshot\nStandardOutput=truncate:/var/tmp/attacker\n"
        "StandardError=file:/var/tmp/attacker\n"
    )
    host.check_output(f"{{ systemctl cat nginx.service; printf '%s' '{own}'; }} >{unit} && systemctl daemon-reload")

    def run(text: str) -> str:
        write(host, "/usr/local/lib/attacker.py", text)
        done = host.run("systemctl start attacker.service")
        output = str(host.check_output("cat /var/tmp/attacker")).strip()
        assert done.rc == 0, output
        return output

    return run


@pytest.fixture(scope="session")
def one_off() -> Callable[[str], str]:
    """Return the command, for a shell, that runs a program in the live release, in a unit of its own."""

    def command(text: str) -> str:
        encoded = base64.b64encode(text.encode()).decode()
        return f"slipway run -- python3 -c \"import base64; exec(base64.b64decode('{encoded}'))\""

    return command


def write(host: Any, path: str, text: str) -> None:
    """Write a file that all may read."""
    host.check_output(f"printf %s {shlex.quote(text)} >{path} && chmod 0644 {path}")


@pytest.fixture(scope="session")
def prelude() -> str:
    """What every attempt finds defined."""
    return PRELUDE


@pytest.fixture(scope="session")
def outside(deployer: Any) -> TryAll:
    """Try it on the host, in no sandbox, as `deploy`."""

    def run(text: str) -> str:
        write(deployer, "/home/deploy/attempt.py", text)
        return str(deployer.check_output("python3 /home/deploy/attempt.py"))

    return by(run)


@pytest.fixture(scope="module", params=["app", "nginx"])
def victim(request: pytest.FixtureRequest) -> str:
    """Who was taken over."""
    return str(request.param)


@pytest.fixture(scope="module")
def run(victim: str, run_in_app: Run, run_in_nginx: Run) -> Run:
    """Run a program as the compromised user."""
    return {"app": run_in_app, "nginx": run_in_nginx}[victim]


@pytest.fixture(scope="module")
def try_all(run: Run) -> TryAll:
    """Try it as the compromised user."""
    return by(run)


@pytest.fixture(scope="module")
def try_in_app(run_in_app: Run) -> TryAll:
    """Try it in the app."""
    return by(run_in_app)


@pytest.fixture(scope="module")
def try_in_nginx(run_in_nginx: Run) -> TryAll:
    """Try it in nginx."""
    return by(run_in_nginx)


@pytest.fixture(scope="session")
def metadata() -> list[str]:
    """Addresses where clouds keep the machine's credentials."""
    return METADATA


@pytest.fixture(scope="module")
def targets(host: Any) -> Iterator[list[str]]:
    """Addresses on the host where something answers, over TCP and UDP; and unix sockets that everybody may use."""
    addresses = [*ELSEWHERE, "127.0.0.1", "::1", *METADATA]
    write(host, "/usr/local/lib/target.py", TARGET.format(addresses=addresses))
    # Docker mounts the kernel's settings read-only, and switches IPv6 off by them.
    host.check_output("mount -o remount,rw /proc/sys && sysctl --quiet --write net.ipv6.conf.lo.disable_ipv6=0")
    added = [address for address in addresses if address not in {"127.0.0.1", "::1"}]
    for address in added:
        host.check_output(f"ip address replace {address} dev lo")
    host.check_output(
        "systemd-run --quiet --collect --unit=target --property=Type=notify --property=NotifyAccess=all"
        " --property=UMask=0 python3 /usr/local/lib/target.py"
    )
    yield addresses
    host.check_output("systemctl stop target.service; rm -f /run/target.sock /var/tmp/target.sock")
    for address in added:
        host.check_output(f"ip address delete {address} dev lo")


ELSEWHERE = ["192.0.2.1", "198.51.100.1", "2001:db8::1"]
"""These stand for the Internet."""

METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fd00:c1::a9fe:a9fe",
    "fd00:42::42",
]
"""Where clouds keep the machine's credentials: most of them; those of ECS, Azure, Alibaba, Oracle; EC2, Google, Oracle
and Scaleway over IPv6."""

TARGET = """
import contextlib, os, socket, selectors
selector = selectors.DefaultSelector()
for address in {addresses!r}:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        listener = socket.socket(family, kind)
        listener.bind((address, 8099))
        kind == socket.SOCK_STREAM and listener.listen(64)
        selector.register(listener, selectors.EVENT_READ, kind)
for path in ("\\0target", "/run/target.sock", "/var/tmp/target.sock"):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    selector.register(listener, selectors.EVENT_READ, socket.SOCK_STREAM)
os.system("systemd-notify --ready")
while True:
    for key, _ in selector.select():
        if key.data == socket.SOCK_STREAM:
            with contextlib.suppress(OSError), key.fileobj.accept()[0] as client:
                client.send(b"here")
        else:
            _, sender = key.fileobj.recvfrom(16)
            key.fileobj.sendto(b"here", sender)
"""
