"""Once when it begins, once when it is over, and late but once where the receiver was down."""

import os
from itertools import pairwise
from pathlib import Path

import pytest

from slipway.alerts.alert import Alert, Message
from slipway.alerts.book import CHECKS_OVER, FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS, MAX_QUEUED, Book

UNIT = Alert("unit:a.service", "a.service failed")
SITE = Alert("site", "the site does not work")
NAME = "1-json"
T = 1_800_000_000.0


def told(book: Book, *found: Alert, now: float = T) -> list[tuple[bool, str]]:
    return [(each.over, each.alert.key) for each in book.note(found, [NAME], now)]


def test_told_once_and_over_once() -> None:
    book = Book()
    assert told(book, UNIT) == [(False, UNIT.key)]
    assert [told(book, UNIT) for _ in range(50)] == [[]] * 50
    assert [told(book) for _ in range(CHECKS_OVER)] == [[], [(True, UNIT.key)]]
    assert told(book) == []
    assert told(book, UNIT) == [(False, UNIT.key)]


def test_what_one_check_misses_is_not_over() -> None:
    book = Book()
    told(book, UNIT)
    assert [told(book, *each) for each in ([], [UNIT], [], [UNIT])] == [[]] * 4


def test_one_look_at_a_site_that_restarts_is_none() -> None:
    book = Book()
    assert [told(book, *each) for each in ([SITE], [], [SITE], [])] == [[]] * 4
    assert [told(book, SITE), told(book, SITE)] == [[], [(False, "site")]]


def test_the_message_says_since_when() -> None:
    book = Book()
    told(book, SITE, now=T)
    [message] = book.note([SITE], [NAME], T + 60)
    assert (message.since, message.at) == ("2027-01-15T08:00:00+00:00", "2027-01-15T08:01:00+00:00")


def test_a_second_failure_under_the_same_key_is_told() -> None:
    book = Book()
    first, second = (Alert("deploy", "the deploy failed", mark=mark) for mark in ("1", "2"))
    assert [told(book, each) for each in (first, first, second, second)] == [
        [(False, "deploy")],
        [],
        [(False, "deploy")],
        [],
    ]


def test_a_reboot_forgets_nothing(tmp_path: Path) -> None:
    book, file = Book(), tmp_path / "state.json"
    told(book, UNIT, SITE)
    book.queues[NAME].failed(T)
    book.save(file)
    assert Book.load(file) == book
    assert told(Book.load(file), UNIT, SITE) == [(False, "site")]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"alerts": {"a": {}}, "queues": {}}', '{"alerts": 1}'])
def test_a_damaged_book_is_an_empty_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(text)
    assert Book.load(file) == Book()


def test_a_full_disk_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    book, file = Book(), tmp_path / "state.json"
    book.save(file)
    size = file.stat().st_size
    monkeypatch.setattr(os, "fsync", full)
    told(book, Alert("disk:/", "the disk is nearly full"))
    book.save(file)
    assert Book.load(file) == book
    assert file.stat().st_size == size
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_receiver_that_is_down_gets_all_later_once_and_in_order() -> None:
    book, sent, tries = Book(), list[Message](), list[float]()
    up = False

    def send(_name: str, message: Message) -> str:
        if not up:
            tries.append(now)
            return "status 503"
        sent.append(message)
        return ""

    now = T
    for minute in range(120):
        now = T + 60 * minute
        told(book, *([UNIT] if minute < 10 else []), now=now)
        book.deliver(send, lambda: None, now)
    assert [round((later - sooner) / 60) for sooner, later in pairwise(tries)] == [1, 2, 4, 8, 16, 32]
    up = True
    for minute in range(120, 200):
        now = T + 60 * minute
        book.deliver(send, lambda: None, now)
    assert [(each.over, each.alert.key) for each in sent] == [(False, UNIT.key), (True, UNIT.key)]
    assert book.queues[NAME].failures == 0


def test_one_that_is_down_holds_up_no_other() -> None:
    book = Book()
    book.note([UNIT], ["1-json", "2-mail"], T)
    sent: list[str] = []

    def send(name: str, _message: Message) -> str:
        sent.append(name)
        return "ConnectionRefusedError" if name == "1-json" else ""

    assert book.deliver(send, lambda: None, T) == ["1-json: ConnectionRefusedError (1 messages wait)"]
    assert sent == ["1-json", "2-mail"]


def test_a_clock_that_was_wrong_does_not_hold_messages_back() -> None:
    book = Book()
    told(book, UNIT)
    book.queues[NAME].failed(T + 10 * 365 * 86400)
    assert book.queues[NAME].is_due(T)
    book.queues[NAME].failed(T)
    assert not book.queues[NAME].is_due(T + FIRST_DELAY_SECONDS - 1)
    assert book.queues[NAME].next_at - T <= MAX_DELAY_SECONDS


def test_the_queue_is_bounded() -> None:
    book = Book()
    for number in range(MAX_QUEUED + 10):
        told(book, Alert(f"unit:{number}", "failed"))
    assert len(book.queues[NAME].messages) == MAX_QUEUED


def test_a_receiver_that_was_removed_is_forgotten_and_a_new_one_hears_what_is_new() -> None:
    book = Book()
    told(book, UNIT)
    book.note([UNIT, Alert("reboot", "a reboot is pending")], ["1-mail"], T)
    assert {name: [each.alert.key for each in queue.messages] for name, queue in book.queues.items()} == {
        "1-mail": ["reboot"]
    }
