"""The route of each request as a header, which nginx logs and keeps from the client: so there are metrics by route.

The workers share nothing for that, and the counts go on over restarts and releases.
"""

from typing import Any

from starlette.types import Scope

HEADER = "X-Slipway-Route"


def header(scope: Scope) -> dict[str, str]:
    """Give the template of the route, as `/links/{slug}`; nothing where no route was found."""
    route: Any = scope.get("route")
    return {HEADER: route.path_format} if route else {}
