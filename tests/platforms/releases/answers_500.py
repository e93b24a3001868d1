"""The app, ready, and with one route that fails."""

from fastapi import Response
from fastapi.routing import APIRoute

from app.main import app


async def version() -> Response:
    """Fail, as a route with a mistake does."""
    return Response("a mistake", status_code=500)


app.router.routes.insert(0, APIRoute("/version", version))
