"""Clients of the site that count what they get."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable


class Load:
    """Clients that ask without a pause of more than 20 ms, and count what they get.

    They keep their connections, or take a new one for each request: nginx closes idle ones when it ends, and a request
    that was sent meanwhile is lost (a browser repeats it).
    """

    def __init__(self, address: str, path: str = "/about", *, keep: bool = True) -> None:
        self.answers: Counter[str] = Counter()
        self._address, self._path, self._keep, self._end = address, path, keep, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(4)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=60)
        while not self._end.wait(0.02):
            try:
                headers = {"Host": "localhost"} | ({} if self._keep else {"Connection": "close"})
                connection.request("GET", self._path, headers=headers)
                response = connection.getresponse()
                response.read()
                self.answers[str(response.status)] += 1
            except (OSError, http.client.HTTPException) as error:
                self.answers[type(error).__name__] += 1
                connection.close()
        connection.close()

    def stop(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    """Units that are not needed any more stop a moment later."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)
