"""One activation at a time."""

import fcntl
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from slipway.engine import deploy, lock
from slipway.engine.errors import LockedError
from slipway.engine.lock import Holder, Purpose
from tests.engine.fakes import FakeHost
from tests.engine.names import A, B

WHO = Holder(release=A, by="alice@laptop", since="2026-11-22T10:00:00+00:00")

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture
def file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lock, "MIN_TIMEOUT_SECONDS", 0.1)
    return folder / "lock"


def hold_in_child(file: Path) -> int:
    """A child that holds the lock until it is killed. Returns its process id."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with lock.held(file, WHO):
                os.write(writer, b"held")
                time.sleep(60)
        finally:
            os._exit(1)
    assert os.read(reader, 4) == b"held"
    for descriptor in (reader, writer):
        os.close(descriptor)
    return child


def test_the_second_engine_is_refused_with_the_holder_and_the_time(file: Path) -> None:
    with lock.held(file, WHO), pytest.raises(LockedError) as raised, lock.held(file, Holder()):
        pass
    for part in (A, "alice@laptop", "2026-11-22T10:00:00+00:00"):
        assert part in str(raised.value)


def test_it_is_free_before_and_after(file: Path) -> None:
    assert lock.holder(file) is None
    with lock.held(file, WHO):
        assert lock.holder(file) == WHO
    assert lock.holder(file) is None
    with lock.held(file, WHO):
        pass


def test_it_is_free_after_an_error(file: Path) -> None:
    with pytest.raises(KeyError), lock.held(file, WHO):
        raise KeyError
    assert lock.holder(file) is None


def test_it_dies_with_its_holder(file: Path) -> None:
    child = hold_in_child(file)
    assert lock.holder(file) == WHO
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert lock.holder(file) is None
    with lock.held(file, Holder(release=B)):
        assert lock.holder(file) == Holder(release=B)


def test_a_program_that_the_holder_started_does_not_inherit_it(file: Path) -> None:
    with lock.held(file, WHO):
        left = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        assert lock.holder(file) is None
    finally:
        left.kill()
        left.wait()


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_holder_that_has_not_written_its_name_yet_still_holds_the_lock(file: Path, text: str) -> None:
    with lock.held(file, WHO):
        file.write_text(text)
        assert lock.holder(file) == Holder()
        with pytest.raises(LockedError, match="a release by somebody"), lock.held(file, Holder()):
            pass


def test_a_look_at_it_does_not_refuse_an_engine(file: Path) -> None:
    file.touch()
    descriptor = os.open(file, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    looked = threading.Timer(0.03, os.close, [descriptor])
    looked.start()
    with lock.held(file, WHO):
        assert lock.holder(file) == WHO
    looked.join()


def test_two_engines_at_once_activate_one_release(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "MIN_TIMEOUT_SECONDS", 0.1)
    deploy.activate(host, host.ship(A))
    host.ship(B)
    child = hold_in_child(host.lock_file)
    calls = list(host.systemd.calls)
    try:
        with pytest.raises(LockedError):
            deploy.activate(host, B)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert host.systemd.calls == calls
    assert host.releases.current() == A
    assert host.releases.record(B).state == "shipped"
    deploy.activate(host, B)
    assert host.releases.current() == B


@pytest.mark.parametrize(
    ("holder", "shown"),
    [
        (Holder(), "a release by somebody since just now"),
        (Holder(release=A, by="bob", origin="192.0.2.7", since="10:00"), f"{A} by bob from 192.0.2.7 since 10:00"),
        (Holder(Purpose.RECOVER, by="deploy", since="10:00"), "a recovery by deploy since 10:00"),
        (Holder(Purpose.PRUNE, by="bob", since="10:00"), "a pruning by bob since 10:00"),
    ],
)
def test_a_holder_is_named(holder: Holder, shown: str) -> None:
    assert str(holder) == shown
