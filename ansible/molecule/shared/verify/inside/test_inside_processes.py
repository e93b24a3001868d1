"""Processes: others are neither seen nor reached."""

from typing import Any

import pytest

OWNER = {"app": "app", "nginx": "www-data"}
ATTEMPTS = [
    "os.kill({pid}, 0)",
    "os.kill({pid}, signal.SIGCONT)",
    "call('pidfd_send_signal', call('pidfd_open', {pid}, 0), 0, None, 0)",
    "open('/proc/{pid}/environ').read()",
    "open('/proc/{pid}/mem', 'rb')",
    "os.listdir('/proc/{pid}/root')",
    "checked(libc.ptrace(16, {pid}, None, None))",
    "peek({pid})",
    "resource.prlimit({pid}, resource.RLIMIT_NOFILE, (16, 16))",
    "os.sched_setaffinity({pid}, [0])",
    "os.setpriority(os.PRIO_PROCESS, {pid}, 19)",
]


@pytest.fixture
def private(host: Any) -> bool:
    """Whether the host's systemd has PrivatePIDs=."""
    return int(host.check_output("systemctl --version").split()[1]) >= 257


@pytest.fixture
def others(host: Any, victim: str) -> list[str]:
    """Processes of the host that are none of the victim's: PID 1 and another service's."""
    other = {"app": "nginx", "nginx": "polkit"}[victim]
    return ["1", host.check_output(f"systemctl show --property=MainPID --value {other}.service")]


def test_it_sees_its_own_processes_only(host: Any, run: Any, victim: str) -> None:
    program = "import os, time\npids = list(filter(str.isdigit, os.listdir('/proc')))\nprint(*pids)"
    pids = run(program).split()
    assert pids
    # Those that ended meanwhile have no owner.
    owners = host.run("stat --format=%U " + " ".join(f"/proc/{pid}" for pid in pids)).stdout.split()
    assert set(owners) <= {OWNER[victim]}


def test_it_reaches_no_other_process(try_all: Any, others: list[str]) -> None:
    answers = try_all(attempt.replace("{pid}", pid) for attempt in ATTEMPTS for pid in others)
    # ENOENT and ESRCH: it is not even told that there is one.
    assert {
        line: answer for line, answer in answers.items() if answer not in {"EPERM", "EACCES", "ENOENT", "ESRCH"}
    } == {}


def test_a_one_off_command_reaches_no_process_of_the_release(
    host: Any, deployer: Any, status: Any, prelude: str, private: bool, one_off: Any
) -> None:
    """Which has the same user. Before systemd 257 the page on security says that it does."""
    process = host.check_output(f"systemctl show --property=MainPID --value app@{status['live']}.service")
    program = prelude + (
        "reached = []\n"
        f"for line in {[attempt.replace('{pid}', process) for attempt in ATTEMPTS]!r}:\n"
        "    try:\n        exec(line)\n        reached.append(line)\n    except OSError:\n        pass\n"
        "print(reached, [pid for pid in os.listdir('/proc') if pid.isdigit()])"
    )
    answer = deployer.check_output(one_off(program))
    # One of its own is all that it sees.
    assert (answer == "[] ['1']") == private, answer
    assert ("os.kill" in answer) != private, answer


def test_a_one_off_command_ends_no_process_of_the_release(
    host: Any, deployer: Any, status: Any, private: bool, one_off: Any, ask: Any
) -> None:
    """It signals all that it reaches. Where that is the release, systemd starts it again."""
    process = f"systemctl show --property=MainPID --value app@{status['live']}.service"
    before = host.check_output(process)
    deployer.run(one_off("import os, signal; os.kill(-1, signal.SIGKILL)"))
    # Requests wait meanwhile.
    assert ask("/readyz").status == 200
    assert (host.check_output(process) == before) == private


def test_processes_of_its_own_are_reached(try_all: Any) -> None:
    """Else the refusals would say nothing."""
    own = ["os.kill(os.getpid(), 0)", "open('/proc/self/environ').read()", "os.listdir('/proc/self/root')"]
    assert set(try_all(own).values()) == {"allowed"}
