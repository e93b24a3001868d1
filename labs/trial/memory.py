"""The peak of the app's memory."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from labs.command import LabError

INTERVAL_SECONDS = 3


class PeakMemory:
    """Measure in the background while a block runs."""

    def __init__(self, measure: Callable[[], float]) -> None:
        """`measure` returns megabytes; measurements that fail in between are left out."""
        self._measure, self._stopped = measure, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.peak = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(INTERVAL_SECONDS):
            try:
                self.peak = max(self.peak, self._measure())
            except LabError:
                continue
