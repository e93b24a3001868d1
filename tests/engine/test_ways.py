"""An app that listens on a port by itself: found at the probe, led to by a proxy, remembered."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.engine import instances, phases, proxy, status, ways
from slipway.engine.deploy import activate
from slipway.engine.errors import PhaseError
from slipway.engine.probe import queue_length
from slipway.engine.recover import recover
from slipway.model import listeners
from tests.engine.fakes import Behaviour, FakeHost
from tests.engine.names import A, B


@pytest.fixture
def port() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(autouse=True)
def real_queues(fast: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the queues of the sockets matter."""
    monkeypatch.setattr(phases, "queue_length", queue_length)
    monkeypatch.setattr(listeners, "GRACE_SECONDS", 0.01)
    monkeypatch.setattr(listeners, "ALONE_SECONDS", 0.1)


@pytest.fixture(autouse=True)
def longer(host: FakeHost) -> None:
    """The first request waits longer than other tests have."""
    host.site = replace(host.site, start_timeout=2)


def ship(host: FakeHost, release: str, behaviour: Behaviour, *ports: int) -> None:
    host.ship(release, behaviour)
    (host.releases.path(release) / ".slipway/ports").write_text("".join(f"{each}\n" for each in ports))


def test_an_app_that_listens_on_its_port_gets_a_proxy_and_is_live(host: FakeHost, port: int) -> None:
    ship(host, A, Behaviour(port=port), port)
    record = activate(host, A)
    assert (record.state, record.port) == ("live", port)
    assert host.releases.record(A).port == port
    assert f"start proxy@{A}.service" in host.systemd.calls
    told = status.status(host)
    assert told["port"] == port
    assert f"serves    on port {port}" in status.text(told)


def test_another_port_is_taken_that_stays_the_only_one(host: FakeHost, port: int) -> None:
    ship(host, A, Behaviour(port=port), 1, port)
    assert activate(host, A).port == port


def test_metrics_that_are_served_before_the_app_get_no_requests(
    host: FakeHost, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "ALONE_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as metrics, socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        threading.Timer(0.3, late.listen).start()
        first = late.getsockname()[1]
        ship(host, A, Behaviour(port=port), first, metrics.getsockname()[1])
        assert activate(host, A).port == first
    assert (host.releases.folder / f"{A}.port").read_text() == f"{first}\n"


def test_two_ports_that_are_not_the_first_are_none(host: FakeHost, port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as metrics:
        ship(host, A, Behaviour(port=port), 1, port, metrics.getsockname()[1])
        with pytest.raises(PhaseError) as error:
            activate(host, A)
    assert "and not on 1: which of them takes requests is not known" in str(error.value)
    assert f"Set `app_port: {port}`" in str(error.value)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("{")], ids=["lost", "damaged"])
def test_a_release_whose_record_is_gone_keeps_its_port(
    host: FakeHost, port: int, damage: Callable[[Path], object]
) -> None:
    ship(host, A, Behaviour(port=port), 1, port)
    activate(host, A)
    damage(host.releases.folder / f"{A}.json")
    host.systemd.states[instances.proxy(A)] = "failed"
    recover(host, boot=True)
    assert host.systemd.state(instances.proxy(A)).running


def test_an_app_that_takes_its_socket_gets_no_proxy_whatever_listens(
    host: FakeHost, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one that takes it a moment after it has begun to listen."""
    monkeypatch.setattr(listeners, "GRACE_SECONDS", 1)
    with socket.create_server(("127.0.0.1", port)):
        ship(host, A, Behaviour(accepts_after=0.7), port)
        assert activate(host, A).port is None
    assert not [call for call in host.systemd.calls if "proxy" in call]
    assert "serves    on the socket that it is handed" in status.text(status.status(host))


def test_another_port_than_the_images_is_named_with_what_to_set(host: FakeHost, port: int) -> None:
    ship(host, A, Behaviour(port=port), 1)
    with pytest.raises(PhaseError) as error:
        activate(host, A)
    assert f"127.0.0.1:{port}" in str(error.value)
    assert "its port is 1 (app_port, else the image's PORT, EXPOSE or command, else 8000)" in str(error.value)
    assert "set `app_port: " in str(error.value)


def test_a_later_start_does_not_look_again(host: FakeHost, port: int) -> None:
    """A rollback to it, and its return at boot."""
    ship(host, A, Behaviour(port=port), port)
    activate(host, A)
    ship(host, B, Behaviour(), 1)
    activate(host, B)
    assert host.systemd.state(instances.proxy(A)).active == "inactive"
    host.change(A, request={"kind": "rollback"})
    host.systemd.calls.clear()
    assert activate(host, A).port == port
    starts = [call for call in host.systemd.calls if call.startswith("start ") and A in call]
    assert starts == [f"start app@{A}.socket", f"start app@{A}.service", f"start proxy@{A}.service"]


def test_recovery_starts_the_proxy_that_is_gone(host: FakeHost, port: int) -> None:
    ship(host, A, Behaviour(port=port), port)
    activate(host, A)
    host.systemd.states[instances.proxy(A)] = "failed"
    recover(host)
    assert host.systemd.state(instances.proxy(A)).running


def test_the_proxy_of_another_release_is_a_leftover(host: FakeHost, port: int) -> None:
    ship(host, A, Behaviour(), 1)
    activate(host, A)
    host.systemd.states[instances.proxy(B)] = "active"
    recover(host)
    assert not host.systemd.state(instances.proxy(B)).running


@pytest.fixture
def own() -> Iterator[dict[str, int]]:
    """Sockets of this process that listen, and their ports."""
    with ExitStack() as stack:
        four = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        six = stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
        four_port, six_port = four.getsockname()[1], six.getsockname()[1]
        for _ in range(3):
            stack.enter_context(socket.create_connection(("127.0.0.1", four_port)))
        yield {"127.0.0.1": four_port, "::1": six_port}


def test_a_drain_waits_for_the_queue_of_the_port_as_well(host: FakeHost, own: dict[str, int]) -> None:
    host.ship(A, Behaviour(port=own["127.0.0.1"]), port=own["127.0.0.1"])
    (host.releases.path(A) / ".slipway/ports").write_text(f"{own['127.0.0.1']}\n")
    host.systemd.states[instances.proxy(A)] = "active"
    assert ways.queued(host, A) == 3


@pytest.mark.parametrize(
    ("command", "waits"),
    [
        (["sh", "-c", "sleep 60; true"], 1),
        (["{script}"], 1),
        (["sh", "-c", "exec sleep 60"], 0),
        (["sleep", "60"], 0),
        (["bash", "-c", "exec -a $'\\377' sleep 60"], 0),
    ],
    ids=["a shell", "a script", "a script that ends in exec", "a server", "a server whose title is no text"],
)
def test_a_drain_waits_for_the_requests_of_a_server_below_a_shell(
    host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], waits: int
) -> None:
    """The shell ends at once when it is stopped, and systemd kills the rest."""
    host.ship(A)
    script = tmp_path / "entrypoint.sh"
    script.write_text("#!/bin/sh\nsleep 60\ntrue\n")
    script.chmod(0o755)
    path = host.releases.socket(A)
    with (
        subprocess.Popen([word.format(script=script) for word in command], start_new_session=True) as app,
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as client,
    ):
        monkeypatch.setattr(host.systemd, "main_process", lambda _unit: app.pid)
        listener.bind(str(path))
        listener.listen()
        client.connect(str(path))
        try:
            with listener.accept()[0]:
                deadline = time.monotonic() + 10  # until the shell has become what it executes
                while (unfinished := ways.unfinished(host, A)) != waits and time.monotonic() < deadline:
                    time.sleep(0.05)
                assert unfinished == waits
            assert ways.unfinished(host, A) == 0
        finally:
            os.killpg(app.pid, signal.SIGKILL)


def test_a_release_of_an_engine_before_has_the_default_port(host: FakeHost) -> None:
    host.ship(A)
    assert ways.ports(host, A) == [8000]
    assert Path(host.releases.path(A) / ".slipway/ports").exists() is False
    assert proxy.port(host.releases, A) == 8000


@pytest.mark.parametrize(("chosen", "led_to"), [(3000, 3000), (None, 9000)])
def test_the_proxy_leads_to_the_port_that_was_chosen(host: FakeHost, chosen: int | None, led_to: int) -> None:
    """An engine before this one wrote none: then to the first."""
    ship(host, A, Behaviour(), 9000, 3000)
    if chosen:
        host.releases.set_port(A, chosen)
    assert proxy.port(host.releases, A) == led_to


def test_the_proxy_leads_to_what_listens(own: dict[str, int]) -> None:
    assert proxy.target(own["127.0.0.1"]) == f"127.0.0.1:{own['127.0.0.1']}"
    assert proxy.target(own["::1"]) == f"::1:{own['::1']}"
    assert proxy.target(1) is None


def test_the_program_of_the_proxy_waits_until_the_app_listens(
    host: FakeHost, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(host, A, Behaviour(), port)
    run: list[list[str]] = []
    monkeypatch.setattr("sys.argv", ["proxy", A])
    monkeypatch.setattr(proxy, "Releases", lambda: host.releases)
    monkeypatch.setattr("os.execv", lambda _program, command: run.append(command))
    with socket.socket() as late:
        late.bind(("127.0.0.1", port))
        threading.Timer(0.3, late.listen).start()
        proxy.main()
    assert run == [[proxy.PROGRAM, "--connections-max=8192", f"127.0.0.1:{port}"]]
