"""QR codes of links: requested here, made in the task queue (`app.tasks`), and fetched here.

Making one computes for a while. In the event loop everyone whom the worker serves would wait for it.
"""

import hashlib
from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request, Response, status
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.dependencies import WorkerDatabase, WorkQueue
from app.links import Slug
from app.models import Link, QrCode, now
from app.problems import documented

router = APIRouter(tags=["qr"])

LONGEST = 1000
"""Characters of a short link, most of which the client says as its Host. A QR code has room for 2,953."""


class Asked(BaseModel):
    """A requested picture, and where it will be."""

    url: str
    status: Literal["pending", "done"]


def place(slug: str) -> str:
    """Tell where a picture is to be found."""
    return f"/links/{slug}/qr.png"


def short_link(request: Request, slug: str) -> tuple[str, str]:
    """Give the link as the client has to type it, and the digest under which its picture is kept."""
    text = f"{request.base_url}{slug}"
    if len(text) > LONGEST:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, f"The link is longer than {LONGEST} characters.")
    return text, hashlib.sha256(f"{QrCode.SCALE} {text}".encode()).hexdigest()


@router.post("/links/{slug:slug}/qr", status_code=status.HTTP_202_ACCEPTED, responses=documented(400, 404, 422, 503))
async def ask(slug: Slug, request: Request, response: Response, database: WorkerDatabase, queue: WorkQueue) -> Asked:
    """Ask for the picture of a link. Asking again changes nothing, unless it could not be made."""
    queue.must_exist()
    text, digest = short_link(request, slug)
    try:
        async with database.write() as session:
            if await session.get(Link, slug) is None:
                raise HTTPException(status.HTTP_404_NOT_FOUND, f"There is no link {slug}.")
            code = await session.get(QrCode, digest)
            send = code is None or (code.picture is None and code.tries >= QrCode.MOST_TRIES)
            if code is None:
                session.add(QrCode(digest=digest, slug=slug, text=text, tries=0))
            elif send:
                code.tries, code.sent_at = 0, now()
    except IntegrityError:  # another request for the same picture won
        send = False
    if send:
        await queue.send(digest)
    response.headers["Location"] = place(slug)
    return Asked(url=place(slug), status="done" if code and code.picture else "pending")


PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture", "content": {"image/png": {}}},
    202: {"description": "It is not made yet: ask again", "model": Asked},
}


@router.get(
    "/links/{slug:slug}/qr.png", response_class=Response, responses=PICTURE | documented(400, 404, 422, 500, 503)
)
async def fetch(slug: Slug, request: Request, database: WorkerDatabase, queue: WorkQueue) -> Response:
    """Give the picture, or tell that it is still being made."""
    _, digest = short_link(request, slug)
    async with database.read() as session:
        code = await session.scalar(select(QrCode).where(QrCode.digest == digest))
    if code and code.picture:
        return Response(code.picture, media_type="image/png", headers={"Cache-Control": "max-age=3600"})
    queue.must_exist()
    if code is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"Nobody asked for it: POST /links/{slug}/qr does.")
    if code.tries >= QrCode.MOST_TRIES:
        raise HTTPException(
            status.HTTP_500_INTERNAL_SERVER_ERROR,
            f"It was tried {code.tries} times, see the log of the workers. POST /links/{slug}/qr tries it anew.",
        )
    waiting = Asked(url=place(slug), status="pending")
    return Response(
        waiting.model_dump_json(), status.HTTP_202_ACCEPTED, {"Retry-After": "1"}, media_type="application/json"
    )
