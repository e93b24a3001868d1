"""nginx dies, restarts or is upgraded with streams and long requests open: see docs/reference/failures.md."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from deploys import examples

LOAD = ("--every-method-at=/attacker/digest",)
EACH = 6
SHUTDOWN_SECONDS = 10
"""worker_shutdown_timeout in nginx.conf."""
STARTS_WITHIN = 10
"""Seconds, on a machine that is busy with other tests, too; otherwise less than one."""
PATIENT = {"max_gap": SHUTDOWN_SECONDS + 5}
REINSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --reinstall nginx nginx-common"


@pytest.mark.parametrize("attempt", examples(("first", "second", "third"), "first"))
def test_nginx_is_killed(load: Any, host: Any, hold: Any, attempt: str) -> None:
    """What was under way is cut, since nobody is left who could ask again."""
    held = hold(seconds=8)
    before, after = host.check_output("date +%s.%N; systemctl kill --signal=KILL nginx; date +%s.%N").split()
    load.crashes.append((float(before), float(after)))
    assert held.seen("websocket") == held.seen("events") == held.seen("GET") == held.seen("POST") == {"cut": EACH}
    time.sleep(3)
    load.check(**PATIENT)


@pytest.mark.parametrize("attempt", examples(("first", "second", "third"), "first"))
def test_nginx_is_restarted(load: Any, host: Any, hold: Any, stops: Callable[[], list[float]], attempt: str) -> None:
    """New requests wait until what is open has ended, as long as nginx gives it."""
    held = hold(seconds=30)
    began = time.monotonic()
    host.check_output("systemctl restart nginx")
    assert SHUTDOWN_SECONDS - 1 < time.monotonic() - began < SHUTDOWN_SECONDS + STARTS_WITHIN
    assert held.seen("GET") == held.seen("POST") == {"200": EACH}
    assert held.seen("websocket") == held.seen("events") == {"cut": EACH}
    load.closings += stops()
    load.check(**PATIENT)


@pytest.mark.parametrize("attempt", examples(("first", "second", "third")))
def test_nginx_is_upgraded(load: Any, host: Any, hold: Any, stops: Callable[[], list[float]], attempt: str) -> None:
    """The package restarts it twice; upkeep shows it without streams."""
    held = hold(seconds=60)
    host.check_output(REINSTALL)
    assert held.seen("GET") == held.seen("POST") == {"200": EACH}
    assert held.seen("websocket") == held.seen("events") == {"cut": EACH}
    load.closings += stops()
    load.check(**PATIENT)


NEWCOMERS = 300
PROBE = f"""
import http.client, threading, time
stop, answered = threading.Event(), [0.0] * 16
def ask(connection):
    connection.request("GET", "/.slipway/generation", headers={{"Host": "slipway.invalid"}})
    connection.getresponse().read()
def stay(number):
    connection = http.client.HTTPConnection("127.0.0.1", timeout=30)
    while not stop.is_set():
        began = time.monotonic()
        ask(connection)
        answered[number] = began
for number in range(len(answered)):
    threading.Thread(target=stay, args=[number]).start()
worst = 0
for _ in range({NEWCOMERS}):
    came = time.monotonic()
    ask(http.client.HTTPConnection("127.0.0.1", timeout=30))
    while min(answered) < came and time.monotonic() < came + 3:
        time.sleep(0.001)
    worst = max(worst, time.monotonic() - came)
    if worst > 3:
        break
stop.set()
http.client.HTTPConnection("127.0.0.1").connect()
print(worst)
"""


def test_nobody_waits_for_the_next_client(host: Any, on_host: Any) -> None:
    """One that comes may wake several of nginx's workers, and must not keep those waiting who were there before."""
    assert float(on_host(PROBE)) < 2
