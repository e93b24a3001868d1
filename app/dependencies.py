"""What a route may ask for: the database and the queue of the worker that serves it.

Apart from what they are, so that the migration and the task queue's processes need no FastAPI: to import it takes a
quarter of a second of every deploy, and its memory in each of those processes.
"""

from typing import Annotated, cast

from fastapi import Depends, Request

from app.database import Database
from app.queue import Queue


def _database(request: Request) -> Database:
    return cast(Database, request.state.database)


def _queue(request: Request) -> Queue:
    return cast(Queue, request.state.queue)


WorkerDatabase = Annotated[Database, Depends(_database)]
WorkQueue = Annotated[Queue, Depends(_queue)]
