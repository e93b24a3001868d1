"""A client that writes without a pause and remembers what was acknowledged."""

import json
import threading
import time
from collections import Counter
from itertools import pairwise
from types import TracebackType
from typing import Self

from labs.http import request

PAUSE_SECONDS = 0.05
MOST_SECONDS = 1800
"""Then it stops by itself."""
LOOK_EVERY = 5
"""Of so many requests one follows the first link, which counts."""


class Writer:
    """Make links at a URL, and follow one of them, from 127.0.0.1."""

    def __init__(self, url: str) -> None:
        """Begin with the block; `url` may change meanwhile, as DNS does."""
        self.url = url
        self.links: dict[str, str] = {}
        """The URL of each acknowledged link."""
        self.followed = 0
        """Acknowledged visits of the first link."""
        self.statuses: Counter[int] = Counter()
        self._acknowledged: list[float] = [time.monotonic()]
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ends.set()
        self._thread.join()

    @property
    def acknowledged(self) -> set[tuple[str, ...]]:
        """The links, each a slug and a URL."""
        return set(self.links.items())

    @property
    def first(self) -> str:
        """The link that is followed."""
        return next(iter(self.links))

    def wait_for_more(self, number: int = 20, seconds: float = 60) -> None:
        """Wait until so many more links are acknowledged."""
        wanted, deadline = len(self.links) + number, time.monotonic() + seconds
        while len(self.links) < wanted:
            assert time.monotonic() < deadline, f"no write is acknowledged at {self.url}: {self.statuses}"
            time.sleep(0.1)

    def longest_pause(self, since: float) -> float:
        """Return the seconds of the longest time without an acknowledged write that began after `since`."""
        times = [each for each in self._acknowledged if each >= since]
        return max(later - earlier for earlier, later in pairwise(times))

    def _write(self) -> None:
        deadline, number = time.monotonic() + MOST_SECONDS, 0
        while not self._ends.wait(PAUSE_SECONDS) and time.monotonic() < deadline:
            number += 1
            if self.links and not number % LOOK_EVERY:
                status, _ = request(self.url, f"/{self.first}", host_header="127.0.0.1", timeout=30)
                self.followed += status == 307
            else:
                url = f"https://example.org/{number}"
                body = json.dumps({"url": url})
                status, text = request(
                    self.url, "/links", host_header="127.0.0.1", method="POST", body=body, timeout=30
                )
                if status == 201:
                    self.links[json.loads(text)["slug"]] = url
                    self._acknowledged.append(time.monotonic())
            self.statuses[status] += 1
