"""What a route may ask for: the database and the queue of the worker that serves it.

Apart from what they are, so that the migration and the task queue's processes need no FastAPI: to import it takes a
quarter of a second of every deploy, and its memory in each of those processes.
"""

from ipaddress import ip_address
from typing import Annotated, cast

from fastapi import Depends, Request

from app.database import Database
from app.queue import Queue


def _database(request: Request) -> Database:
    return cast(Database, request.state.database)


def _queue(request: Request) -> Queue:
    return cast(Queue, request.state.queue)


def _from_inside(request: Request) -> bool:
    # nginx names the client in X-Forwarded-For; on a socket of its own the app has only local clients.
    try:
        return request.client is None or not ip_address(request.client.host).is_global
    except ValueError:
        return False


WorkerDatabase = Annotated[Database, Depends(_database)]
WorkQueue = Annotated[Queue, Depends(_queue)]
FromInside = Annotated[bool, Depends(_from_inside)]
"""Whether the client is on this host or in a private network. The internet is told neither which release answers nor
why the database does not."""
