"""nginx's access log, read by first attempts: the requests that each slice of the traffic got, and their outcome."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from slipway.engine.releases import SLICES

ACCESS_LOG = Path("/var/log/nginx/access.log")
CLIENT_LEFT = 499
"""nginx's status for a client that did not wait for the answer."""
BETWEEN_ATTEMPTS = re.compile(r", | : ")
"""nginx puts a comma between the attempts of a request, and a colon where it was redirected inside of nginx."""


@dataclass(frozen=True)
class Attempt:
    """One time that nginx sent a request to a slice. The client's answer may have come from a later attempt."""

    slice: str
    began: float
    """When the request came, in epoch seconds."""
    status: int | None
    """None: no answer, since the app went away. 499: the client did."""
    seconds: float | None
    """Until the answer began. None: it never did."""
    request: str = ""
    """Method, path and id, for a message."""

    @property
    def failed(self) -> bool:
        """As far as the app can be blamed: 5xx or no answer."""
        return self.status is None or self.status >= 500


def first_attempt(line: str) -> Attempt | None:
    """The first attempt of one line of the log; None if the line is not about the app.

    Later attempts were made because the first one failed: they are no random share of the requests.
    """
    try:
        entry = json.loads(line)
        request = f"{entry['method']} {entry['uri']} (request {entry['request_id']})"
        began = entry["time"] - entry["seconds"]
        columns = [BETWEEN_ATTEMPTS.split(entry[f"upstream_{name}"]) for name in ("addr", "status", "header_seconds")]
    except (ValueError, KeyError, TypeError):
        return None
    address, status, seconds = (column[0] for column in columns)
    name = Path(address).name.removesuffix(".sock")
    if name not in SLICES:
        return None
    if entry.get("status") == CLIENT_LEFT and not status.isdigit():
        # Nobody's failure, but it took at least that long.
        return Attempt(name, began, CLIENT_LEFT, entry["seconds"], request)
    return Attempt(name, began, int(status) if status.isdigit() else None, _seconds(seconds), request)


def _seconds(text: str) -> float | None:
    with suppress(ValueError):
        return float(text)
    return None


class Follower:
    """Reads the lines that are added to the log from now on, also after it has been rotated."""

    def __init__(self, path: Path = ACCESS_LOG) -> None:
        """Begin at the end of the log.

        Raises:
            OSError: it cannot be read.
        """
        self._path = path
        self._file = self._open()
        self._file.seek(0, 2)
        self._rest = ""

    def new(self) -> Iterator[Attempt]:
        """The attempts that were logged since the last look."""
        yield from self._read()
        if self._rotated():
            fresh = self._open()
            # nginx goes on with the old file until it reopens its logs: the lines in between are there.
            yield from self._read()
            self._file.close()
            self._file, self._rest = fresh, ""
            yield from self._read()

    def close(self) -> None:
        """Close the log."""
        self._file.close()

    def _open(self) -> IO[str]:
        return self._path.open(encoding="utf-8", errors="replace")

    def _rotated(self) -> bool:
        try:
            there, here = self._path.stat(), Path(f"/dev/fd/{self._file.fileno()}").stat()
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)

    def _read(self) -> Iterator[Attempt]:
        text = self._rest + self._file.read()
        whole, newline, self._rest = text.rpartition("\n")
        if newline:
            yield from filter(None, map(first_attempt, whole.split("\n")))
