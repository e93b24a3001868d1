"""What a browser may do with the app's answers (Content-Security-Policy): show two pages of documentation, no more."""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.responses import HTMLResponse

from app.headers import HeadersMiddleware

HEADER = "Content-Security-Policy"
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def policy(page: str) -> str:
    """Allow a page its own scripts and styles, by address or hash, and requests to this site.

    Styles are also allowed inline: ReDoc writes them as it runs.
    """
    inline = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in inline]
    scripts = [*re.findall(r'<script src="([^"]+)"', page), *(f"'sha256-{digest}'" for digest in hashes)]
    styles = re.findall(
        r'<link[^>]* href="(https://[^"?]+)[^"]*" rel="stylesheet"|rel="stylesheet"[^>]* href="([^"?]+)', page
    )
    return "; ".join(
        (
            NOTHING,
            f"script-src {' '.join(scripts)}",
            f"style-src 'unsafe-inline' {' '.join(address for pair in styles for address in pair if address)}".rstrip(),
            "img-src 'self' data: https://fastapi.tiangolo.com https://cdn.redoc.ly",
            "font-src https://fonts.gstatic.com",
            "connect-src 'self'",
            "worker-src blob:",
        )
    )


def install(app: FastAPI) -> None:
    """Serve the documentation as FastAPI does, with a policy for each page, and forbid the rest everything."""
    url, title = str(app.openapi_url), app.title
    pages = {
        "/docs": get_swagger_ui_html(openapi_url=url, title=title),
        "/redoc": get_redoc_html(openapi_url=url, title=title),
    }
    for path, made in pages.items():
        text = bytes(made.body).decode()
        app.add_api_route(path, _serve(text, policy(text)), include_in_schema=False, response_class=HTMLResponse)
    # Of each answer that has no policy of its own: JSON and pictures need nothing.
    app.add_middleware(HeadersMiddleware, of=lambda _: {HEADER: NOTHING})


def _serve(text: str, allowed: str) -> Callable[[], Awaitable[Response]]:
    async def page() -> Response:
        return HTMLResponse(text, headers={HEADER: allowed})

    return page
