"""Making, following and counting links."""

import logging
import secrets
import string
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Response, status
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from starlette.convertors import Convertor, register_url_convertor

from app.database import Database
from app.dependencies import WorkerDatabase
from app.models import Link
from app.problems import documented

log = logging.getLogger(__name__)
router = APIRouter(tags=["links"])

ALPHABET = string.ascii_letters + string.digits
LENGTH = 8
SLUG = f"[A-Za-z0-9]{{{LENGTH}}}"
LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
PORT = r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
# Names as RFC 1123 has them, then the characters of RFC 3986. No user:password@, which only serves to deceive. Whatever
# is let in here goes out as a Location, and clients stumble over hosts like `..` and ports like 99999.
URL = rf"^https?://{LABEL}(\.{LABEL}){{0,20}}(:{PORT})?([/?#][!#-;=?-Z_a-z~%\[\]]*)?$"


class SlugConvertor(Convertor[str]):
    """Makes a path that is no slug no match at all, so `/{slug}` never stands in for `/links` or `/docs`."""

    regex = SLUG

    def convert(self, value: str) -> str:
        """Keep the text as it is."""
        return value

    def to_string(self, value: str) -> str:
        """Keep the text as it is."""
        return value


register_url_convertor("slug", SlugConvertor())
Slug = Annotated[str, Path(pattern=f"^{SLUG}$", description=f"{LENGTH} letters and digits")]


class NewLink(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(extra="forbid")
    url: Annotated[str, Field(pattern=URL, max_length=2048, examples=["https://example.org/a?b=c"])]


class LinkOut(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(from_attributes=True)
    slug: str
    url: str
    clicks: int


def new_slug() -> str:
    """Draw a slug that nobody can guess from another: 62^8, about 2.2e14, of them."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


@router.post("/links", status_code=status.HTTP_201_CREATED, responses=documented(400, 422, 503))
async def create(new: NewLink, database: WorkerDatabase, response: Response) -> LinkOut:
    """Make a short link."""
    link = await insert(database, new.url)
    response.headers["Location"] = f"/links/{link.slug}"
    log.info("link created", extra={"slug": link.slug})
    return LinkOut.model_validate(link)


async def insert(database: Database, url: str, attempts: int = 5) -> Link:
    """Store a link under a slug that is free.

    The database, not a look before, says whether it is free. Raises IntegrityError when `attempts` draws were all
    taken, which at random does not happen.
    """
    for left in reversed(range(attempts)):
        link = Link(slug=new_slug(), url=url, clicks=0)
        try:
            async with database.write(one_statement=True) as session:
                session.add(link)
        except IntegrityError:
            if not left:
                raise
        else:
            return link
    raise ValueError("attempts must be 1 or more")


@router.get("/links/{slug:slug}", responses=documented(404, 422, 503))
async def show(slug: Slug, database: WorkerDatabase) -> LinkOut:
    """Tell how often a link was followed."""
    async with database.read() as session:
        link = await session.scalar(select(Link).where(Link.slug == slug))
    if link is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"There is no link {slug}.")
    return LinkOut.model_validate(link)


@router.get(
    "/{slug:slug}",
    status_code=status.HTTP_307_TEMPORARY_REDIRECT,
    response_class=RedirectResponse,
    responses=documented(404, 422, 503),
)
async def follow(slug: Slug, database: WorkerDatabase) -> RedirectResponse:
    """Redirect to the URL of a link, and count it.

    The database adds the one, in a single statement. Reading the count, adding here and writing it back would lose
    clicks as soon as two workers do it at once; so would a counter in a module, of which every worker has its own.
    """
    click = update(Link).where(Link.slug == slug).values(clicks=Link.clicks + 1).returning(Link.url)
    async with database.write(one_statement=True) as session:
        url = await session.scalar(click)
    if url is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"There is no link {slug}.")
    return RedirectResponse(url, headers={"Cache-Control": "no-store"})
