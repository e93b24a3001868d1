"""Memory over time."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from bench.host import BenchError

EVERY_SECONDS = 3


class Memory:
    """Measures in the background for as long as a block runs."""

    def __init__(self, measure: Callable[[], float]) -> None:
        """`measure` returns megabytes; what it cannot measure in between is left out."""
        self._measure, self._over = measure, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.most = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            try:
                self.most = max(self.most, self._measure())
            except BenchError:
                continue
