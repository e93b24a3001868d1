"""Reading files that somebody else may have put there."""

import os
import stat
from pathlib import Path

from slipway.model.errors import SlipwayError

MAX_BYTES = 4 * 2**20
"""Of a file that the engine reads: a record has some kilobytes."""


def read_regular(path: Path, last_bytes: int | None = None) -> str:
    """Read a text file. Neither a FIFO, which would block, nor a link, a device or an endless file is read.

    `last_bytes`: no more than so many, from the end of the file.

    Raises:
        FileNotFoundError: there is none.
        OSError: it is a symbolic link, or cannot be read.
        SlipwayError: it is something else than a file, or larger than MAX_BYTES.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise SlipwayError(f"{path} is not a regular file: remove it")
        if last_bytes:
            file.seek(max(0, facts.st_size - last_bytes))
        most = last_bytes or MAX_BYTES
        content = file.read(most + 1)
    if len(content) > most and not last_bytes:
        raise SlipwayError(f"{path} has more than {most} bytes: remove it")
    return content.decode(errors="replace")
