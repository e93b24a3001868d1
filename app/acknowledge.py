"""How a worker tells the broker that a task has ended. Loaded by workers only."""

from typing import Any

from celery import signals
from celery.worker import request
from kombu.asynchronous import Hub


class Request(request.Request):
    """Celery's own record of a task, but one that takes a new connection if it cannot tell the broker of the end.

    Celery's logs that and goes on, with the task's place taken for good. A broker that restarts at the wrong moment
    could so leave a worker that looks well and does nothing any more.
    """

    hub: Hub
    """The worker's loop. `get_event_loop()` tells none once a connection was lost, while the worker goes on with it."""

    def acknowledge(self) -> None:
        """Tell the broker that the task is done. A lost connection leaves the loop, which makes a new one."""
        if not self.acknowledged:
            self.acknowledged = True
            self.hub.call_soon(self.message.ack)

    def reject(self, requeue: bool = False) -> None:
        """Give the task back."""
        if not self.acknowledged:
            self.acknowledged = True
            self.hub.call_soon(self.message.reject, requeue)


@signals.worker_ready.connect
def _know_the_loop(sender: Any, **_: Any) -> None:
    Request.hub = sender.hub
