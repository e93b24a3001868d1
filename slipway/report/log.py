"""Read the lines of nginx's access log since a time, also of files that are rotated and compressed."""

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

MAX_LINE_BYTES = 64 * 1024
"""nginx's are a few kilobytes (nginx/text.conf)."""


class Log:
    """A log and the files that it was rotated to, as `access.log`, `access.log.1` and `access.log.2.gz`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.unread: list[str] = []
        """Names of files that are damaged or cannot be read, wholly or from some place on."""

    def lines(self, since: float) -> Iterator[bytes]:
        """Yield the lines of the files that were written since then (epoch seconds), oldest file first.

        Raises:
            OSError: the log itself cannot be read.
        """
        with ExitStack() as stack:
            for name, file in reversed([(name, stack.enter_context(file)) for name, file in self._files(since)]):
                plain = gzip.GzipFile(fileobj=file) if name.endswith(".gz") else file
                try:
                    while line := plain.readline(MAX_LINE_BYTES):
                        yield line
                except (OSError, EOFError, zlib.error):
                    self.unread.append(name)

    def _files(self, since: float) -> Iterator[tuple[str, IO[bytes]]]:
        """Yield open files, the newest first: one that is rotated meanwhile comes again under its next name."""
        seen = set()
        rotated = [path for path in self._path.parent.glob(f"{self._path.name}[.-]*") if path.is_file()]
        for path in [self._path, *sorted(rotated, key=_modified, reverse=True)]:
            try:
                file = path.open("rb")
            except OSError:
                if path == self._path:
                    raise
                self.unread.append(path.name)
                continue
            facts = os.fstat(file.fileno())
            if (facts.st_dev, facts.st_ino) in seen or facts.st_mtime < since:
                file.close()
                continue
            seen.add((facts.st_dev, facts.st_ino))
            yield path.name, file


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0  # rotated just now
