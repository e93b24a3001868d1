"""How a request hands work to the task queue."""

import asyncio
import logging

from fastapi import HTTPException, status

from app.settings import Settings

log = logging.getLogger(__name__)


class Queue:
    """The queue as one worker of the web server sees it. Celery is imported only if there is a broker."""

    def __init__(self, settings: Settings) -> None:
        self.exists = settings.broker_url is not None
        if self.exists:
            import app.tasks  # noqa: F401

    def must_exist(self) -> None:
        """Raise HTTPException (503) without a broker."""
        if not self.exists:
            raise HTTPException(
                status.HTTP_503_SERVICE_UNAVAILABLE,
                "This needs the task queue, and none is configured: set BROKER_URL, for example to "
                "redis://localhost/0, and start `worker` and `beat` of the Procfile.",
            )

    async def send(self, digest: str) -> None:
        """Send the task that makes a picture, after its row was committed: else a worker may be there first.

        A broker that is away is no failure. The row is the order, and `app.tasks.resend` finds it.
        """
        from kombu.exceptions import OperationalError

        from app.tasks import make_qr

        try:
            await asyncio.to_thread(make_qr.delay, digest)
        except OperationalError as error:
            log.warning("the broker does not answer, the task is sent later: %s", error)
