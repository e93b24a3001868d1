"""One check, as alerts.service runs it: look, compare with what was told, and deliver what is new."""

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from slipway.alerts import app
from slipway.alerts.alert import Alert, Message, Place
from slipway.alerts.book import Book
from slipway.alerts.send import beat, send
from slipway.alerts.settings import HEARTBEAT, Receiver, Settings
from slipway.data_host import alerts as data_host
from slipway.data_host.host import DataHost
from slipway.engine.host import Host
from slipway.engine.terminal import printable
from slipway.model import owner
from slipway.model.data_host import DataSettings
from slipway.model.errors import SlipwayError
from slipway.model.site import Site


def main() -> int:
    """Check once. Returns 1 if the settings are damaged."""
    try:
        settings = Settings.load(Path(os.environ["CREDENTIALS_DIRECTORY"], "alerts"))
        host, look, serves = _look(settings)
        site = owner.load(host.owner) or {}
    except SlipwayError as error:
        print(f"alerts: {error}", file=sys.stderr)
        return 1
    place = Place(host.name, str(site.get("project") or ""), str(site.get("environment") or ""))
    every = _names(settings.receivers)
    receivers = {name: each for name, each in every.items() if each.kind != HEARTBEAT}
    file = Path(os.environ["STATE_DIRECTORY"], "state.json")
    book, now = Book.load(file), time.time()
    found = _found(look, book)
    for message in book.note(found, receivers, now):
        print(printable(message.subject(place)))
    book.save(file)  # before anything is sent

    def deliver(name: str, message: Message) -> str:
        return send(receivers[name], message, place)

    for failure in book.deliver(deliver, lambda: book.save(file), now):
        print(f"not delivered to {failure}", file=sys.stderr)
    for name, each in every.items() if serves(found) else ():
        if each.kind == HEARTBEAT and (failure := beat(each)):
            print(f"not delivered to {name}: {failure}", file=sys.stderr)
    return 0


def _look(settings: Settings) -> tuple[Host | DataHost, Callable[[], list[Alert]], Callable[[list[Alert]], bool]]:
    """Return this host, what lists what is wrong with a host of its kind, and what tells by that list if it serves.

    Raises:
        SlipwayError: its settings are missing or damaged.
    """
    if settings.is_app:
        app_host = Host(Site.load())
        return app_host, partial(app.found, app_host, settings), partial(app.serves, app_host)
    alone = DataHost(DataSettings.load())
    return alone, partial(data_host.found, alone), lambda _found: False


def _found(look: Callable[[], list[Alert]], book: Book) -> list[Alert]:
    """What is wrong. Where that cannot be read, this is told, and nothing is over."""
    try:
        return look()
    except (SlipwayError, OSError) as error:
        before = [each.alert for each in book.alerts.values() if each.told]
        unreadable = Alert("status", "the host's state cannot be read", str(error), "slipway status")
        return [*(each for each in before if each.key != unreadable.key), unreadable]


def _names(receivers: tuple[Receiver, ...]) -> dict[str, Receiver]:
    """Name each by its place in alerts_to and its kind: its URL is a secret."""
    return {f"{number}-{each.kind}": each for number, each in enumerate(receivers, 1)}


if __name__ == "__main__":
    sys.exit(main())
