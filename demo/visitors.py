"""The load of `make try`, for Locust: asks for a few paths of an app that nobody here knows.

VISITOR_PATHS holds pairs of the status that is right and the path, separated by spaces: `200 /about 404 /nowhere`.
The clients are those of tests/load, with what they look at.
"""

import os
import random
import sys
from pathlib import Path
from typing import ClassVar

from locust import task

sys.path.append(str(Path(__file__).resolve().parents[1]))

from tests.load import locustfile
from tests.load.locustfile import Client, status

WORDS = os.environ["VISITOR_PATHS"].split()
PATHS = [(int(expected), path) for expected, path in zip(WORDS[::2], WORDS[1::2], strict=True)]


class Visitor(Client):
    """Reads over a connection that is kept alive."""

    share, rate = 0.7, 5.0

    @task
    def act(self) -> None:
        """One request."""
        expected, path = random.choice(PATHS)  # noqa: S311
        self.ask("GET", path, path, lambda response: status(response, expected))


class NewVisitor(Visitor):
    """Reads, each time over a new connection."""

    share, rate = 0.3, 3.0
    headers: ClassVar[dict[str, str]] = {"Connection": "close"}


locustfile.KINDS = (Visitor, NewVisitor)  # type: ignore[assignment]
