"""nginx's log, read by first tries: what each slice of the traffic was asked, and what came of it."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from slipway.releases import SLICES

ACCESS_LOG = Path("/var/log/nginx/access.log")
CLIENT_LEFT = 499
"""nginx's status for a client that did not wait for the answer."""
BETWEEN_TRIES = re.compile(r", | : ")
"""nginx puts a comma between the tries of a request, and a colon where it was redirected inside of nginx."""


@dataclass(frozen=True)
class Try:
    """One time that nginx sent a request to a slice. What the client got may have come from a later try."""

    slice: str
    began: float
    """When the request came, in epoch seconds."""
    status: int | None
    """None: no answer, since the app went away. 499: the client did."""
    seconds: float | None
    """Until the answer began. None: it never did."""
    what: str = ""
    """What was asked, in words."""

    @property
    def bad(self) -> bool:
        """It failed, as far as the app can be blamed: 5xx or no answer."""
        return self.status is None or self.status >= 500


def first_try(line: str) -> Try | None:
    """The first try of one line of the log; None if the line is not about the app.

    What comes after it came because it failed: it is no random share of the requests.
    """
    try:
        request = json.loads(line)
        what = f"{request['method']} {request['uri']} (request {request['request_id']})"
        began = request["time"] - request["seconds"]
        columns = [BETWEEN_TRIES.split(request[f"upstream_{name}"]) for name in ("addr", "status", "header_seconds")]
    except (ValueError, KeyError, TypeError):
        return None
    address, status, seconds = (column[0] for column in columns)
    name = Path(address).name.removesuffix(".sock")
    if name not in SLICES:
        return None
    if request.get("status") == CLIENT_LEFT and not status.isdigit():
        # Nobody's failure, but it took at least that long.
        return Try(name, began, CLIENT_LEFT, request["seconds"], what)
    return Try(name, began, int(status) if status.isdigit() else None, _seconds(seconds), what)


def _seconds(text: str) -> float | None:
    with suppress(ValueError):
        return float(text)
    return None


class Follower:
    """Reads what is added to the log from now on, also after it has been rotated."""

    def __init__(self, path: Path = ACCESS_LOG) -> None:
        """Begin at the end of the log.

        Raises:
            OSError: it cannot be read.
        """
        self._path = path
        self._file = self._open()
        self._file.seek(0, 2)
        self._rest = ""

    def new(self) -> Iterator[Try]:
        """The tries that were logged since the last look."""
        yield from self._read()
        if self._rotated():
            fresh = self._open()
            # nginx goes on with the old one until it is told: what came in between is there.
            yield from self._read()
            self._file.close()
            self._file, self._rest = fresh, ""
            yield from self._read()

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _open(self) -> IO[str]:
        return self._path.open(encoding="utf-8", errors="replace")

    def _rotated(self) -> bool:
        try:
            there, here = self._path.stat(), Path(f"/dev/fd/{self._file.fileno()}").stat()
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)

    def _read(self) -> Iterator[Try]:
        text = self._rest + self._file.read()
        whole, newline, self._rest = text.rpartition("\n")
        if newline:
            yield from filter(None, map(first_try, whole.split("\n")))
