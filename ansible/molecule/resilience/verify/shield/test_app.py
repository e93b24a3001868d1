"""Something kills the app, or a part of it, under load: see docs/reference/failures.md."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from deploys import Deploy, examples

from tools.checkout import APP_IMAGES

LOAD = ("--every-method-at=/attacker/digest",)
TRIES = examples(("first", "second", "third"), "first")
EACH = 6
MASTER = "systemctl show --property=MainPID --value 'app@*.service'"
MEMORY = 512 * 2**20
"""Enough for all workers while they start; taken before a slow machine's hanging request ends."""
WORKERS_WITHIN = 60
"""Seconds until all of them run again: a start does not wait for them."""
HOG = "kept = []\nwhile True:\n kept.append(b'x' * 2**22)"
"""Zeroes alone would be no memory yet."""
STARTS_WITHIN = 10
"""Seconds, on a machine that is busy with other tests, too; otherwise about two."""
WEDGE = "while True:\n pass"


@pytest.fixture(params=TRIES, autouse=True)
def attempt(request: pytest.FixtureRequest, host: Any, ask: Any) -> str:
    """Three times each; the second and third in the catalogue. Each begins with all workers."""
    deadline = time.monotonic() + WORKERS_WITHIN
    while len(workers(host)) < json.loads(ask("/version").body)["workers"]:
        assert time.monotonic() < deadline, workers(host)
        time.sleep(0.5)
    return str(request.param)


def strike(host: Any, load: Any, command: str, dying: set[str]) -> None:
    """Kill something of the app, and let the load go on for long enough to have its requests counted.

    Processes that are dying may take requests until they are gone.
    """
    gone = f"for process in {' '.join(dying)}; do while kill -0 $process 2>/dev/null; do sleep 0.01; done; done"
    said = host.check_output(f"date +%s.%N; {command}; {gone}; date +%s.%N").split()
    load.deaths.append((float(said[0]), float(said[-1])))
    time.sleep(3)


def workers(host: Any) -> set[str]:
    """The workers' process ids."""
    return set(host.run(f"pgrep --parent $({MASTER})").stdout.split())


def test_a_one_off_command_kills_all_that_it_reaches(load: Any, host: Any, hold: Any) -> None:
    """Where systemd gives it processes of its own, nobody notices; before 257, it is as if all of the release is killed."""
    private = int(host.check_output("systemctl --version").split()[1]) >= 257
    held, before, failed = hold(seconds=10, slow=8), workers(host), len(load.failures())
    kill = "import os, signal; os.kill(-1, signal.SIGKILL)"
    command = f"runuser -u deploy -- slipway run -- python3 -c '{kill}'"
    strike(host, load, command, set() if private else before)
    assert (workers(host) == before) == private
    assert held.seen("websocket") == {"open" if private else "cut": EACH}
    assert held.seen("events") == {"open" if private else "cut": EACH}
    assert held.seen("GET") == {"200": EACH}
    assert held.seen("POST") == {"200" if private else "502": EACH}
    if private:
        assert len(load.failures()) == failed
    load.check(max_gap=STARTS_WITHIN)


def test_a_worker_is_killed(load: Any, host: Any, hold: Any) -> None:
    held, before = hold(seconds=8), workers(host)
    strike(host, load, f"kill -KILL {min(before)}", {min(before)})
    assert len(workers(host) - before) == 1, "another took its place"
    assert held.seen("GET") == {"200": EACH}, "asked of another worker"
    assert set(held.seen("POST")) <= {"200", "502"}
    # Those of the other workers saw nothing.
    assert set(held.seen("websocket")) <= {"cut", "open"}
    assert set(held.seen("events")) <= {"cut", "open"}
    assert "open" in held.seen("websocket") + held.seen("events")
    load.check(max_gap=STARTS_WITHIN)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(f"kill -KILL $({MASTER})", id="master"),
        pytest.param("systemctl kill --signal=KILL 'app@*.service'", id="cgroup", marks=pytest.mark.catalogue),
    ],
)
def test_all_of_it_is_killed(load: Any, host: Any, hold: Any, command: str) -> None:
    """When the server's master dies, systemd stops its workers and restarts the service."""
    held = hold(seconds=10, slow=8)
    strike(host, load, command, workers(host))
    assert held.seen("websocket") == {"cut": EACH}
    assert held.seen("events") == {"cut": EACH}
    assert held.seen("GET") == {"200": EACH}
    assert held.seen("POST") == {"502": EACH}
    load.check(max_gap=STARTS_WITHIN)


def test_it_is_restarted(load: Any, host: Any, hold: Any) -> None:
    """Nothing fails: what was taken is finished, and what comes waits."""
    held = hold(seconds=20)
    host.check_output("systemctl restart 'app@*.service'")
    assert held.seen("websocket") == {"1012": EACH}
    assert held.seen("events") == {"ended": EACH}
    assert held.seen("GET") == held.seen("POST") == {"200": EACH}
    load.check(max_gap=STARTS_WITHIN)


@pytest.fixture
def scarce(host: Any) -> Iterator[str]:
    """Give the app little memory; returns where the kernel counts whom it killed for that.

    systemd does it (MemoryMax=) where the machine has a memory controller of cgroup v2. Elsewhere, as in a container on
    a machine that has v1 only, a group of v1 does: the killer is the kernel's own in both cases.
    """
    group = "/sys/fs/cgroup" + host.check_output("systemctl show --property=ControlGroup --value 'app@*.service'")
    if host.file(f"{group}/memory.max").exists:
        kept = host.check_output(f"cat {group}/memory.max; echo {MEMORY} >{group}/memory.max")
        yield f"{group}/memory.events"
        host.check_output(f"echo {kept} >{group}/memory.max")
        return
    host.check_output(
        "mkdir -p /run/memory && mount -t cgroup -o memory none /run/memory && mkdir /run/memory/app"
        f" && echo {MEMORY} >/run/memory/app/memory.limit_in_bytes"
        f" && for process in $(cat {group}/cgroup.procs); do echo $process >/run/memory/app/cgroup.procs; done"
    )
    yield "/run/memory/app/memory.oom_control"
    host.check_output(
        "for process in $(cat /run/memory/app/cgroup.procs); do echo $process >/run/memory/cgroup.procs; done;"
        " rmdir /run/memory/app && umount /run/memory"
    )


def test_a_worker_takes_all_the_memory(load: Any, host: Any, hold: Any, ask: Any, scarce: str) -> None:
    held, before = hold(seconds=8), workers(host)
    began = time.time()
    assert ask("/attacker/inside", method="POST", body=HOG).status == 502
    load.deaths.append((began, time.time()))
    counted = dict(line.split() for line in host.check_output(f"cat {scarce}").splitlines())
    assert int(counted["oom_kill"]) == 1, "the kernel killed one"
    time.sleep(3)
    assert len(workers(host) - before) == 1, "another took its place"
    assert held.seen("GET") == {"200": EACH}
    assert set(held.seen("POST")) <= {"200", "502"}
    assert "open" in held.seen("websocket") + held.seen("events")
    load.check(max_gap=STARTS_WITHIN)


def test_a_worker_hangs(load: Any, host: Any, hold: Any, ask: Any) -> None:
    """Those that it had wait until it is killed, app_request_timeout at most; it takes no others."""
    held, before = hold(seconds=16), workers(host)
    began = time.time()
    assert ask("/attacker/inside", method="POST", body=WEDGE).status == 502
    ended = time.time()
    assert 4 < ended - began < 10 + STARTS_WITHIN, "app_request_timeout is 10"
    load.deaths.append((ended - 2, began))
    time.sleep(1)
    assert len(workers(host) - before) == 1, "another took its place"
    assert held.seen("GET") == {"200": EACH}
    assert set(held.seen("POST")) <= {"200", "502"}
    assert set(held.seen("websocket")) <= {"cut", "open"}
    assert "open" in held.seen("websocket") + held.seen("events")
    load.check(max_gap=STARTS_WITHIN)


def test_a_cutover(load: Any, hold: Any) -> None:
    """The old release finishes what it has, and tells the others to come again."""
    held = hold(seconds=60, slow=9)
    deploy = Deploy(image=f"{APP_IMAGES}:molecule-attacker", more=["--extra-vars=release_watch=false"])
    assert deploy.wait() == 0, deploy.output
    assert held.seen("websocket") == {"1012": EACH}
    assert held.seen("events") == {"ended": EACH}
    assert held.seen("GET") == held.seen("POST") == {"200": EACH}
    load.check(max_gap=STARTS_WITHIN)
