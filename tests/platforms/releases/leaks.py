"""The app, with one route that keeps more memory each tenth of a second."""

from threading import Thread
from time import sleep

from fastapi import Response
from fastapi.routing import APIRoute

from app.main import app


async def leak() -> Response:
    """Begin to leak."""
    Thread(target=keep, daemon=True).start()
    return Response(status_code=202)


def keep() -> None:
    """Keep more and more."""
    kept = []
    while True:
        kept.append(b"x" * (20 << 20))
        sleep(0.1)


app.router.routes.insert(0, APIRoute("/leak", leak, methods=["POST"]))
