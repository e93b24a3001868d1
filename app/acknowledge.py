"""How a worker tells the broker that a task has ended. Loaded by workers only."""

from typing import cast

from celery.worker import request
from kombu.asynchronous import Hub, get_event_loop


class Request(request.Request):
    """Celery's own record of a task, but one that takes a new connection if it cannot tell the broker of the end.

    Celery's logs that and goes on, with the task's place taken for good. A broker that restarts at the wrong moment
    could so leave a worker that looks well and does nothing any more.
    """

    def acknowledge(self) -> None:
        """Tell the broker that the task is done. A lost connection leaves the loop, which makes a new one."""
        if not self.acknowledged:
            self.acknowledged = True
            cast(Hub, get_event_loop()).call_soon(self.message.ack)

    def reject(self, requeue: bool = False) -> None:
        """Give the task back."""
        if not self.acknowledged:
            self.acknowledged = True
            cast(Hub, get_event_loop()).call_soon(self.message.reject, requeue)
