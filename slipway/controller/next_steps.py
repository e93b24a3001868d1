"""The end of `slipway up`: show that the app answers through nginx, and what to try next.

Any app: the release comes from /version where the app has it, and the lines about routes from its OpenAPI document.
No response, or 502, 503 or 504, nginx's own answers for an app that does not respond, is an error.
"""

import json
import urllib.error
import urllib.request

from slipway.controller.project import INVENTORIES, Project
from slipway.model.errors import SlipwayError

TIMEOUT_SECONDS = 10
GATEWAY_ERRORS = {502, 503, 504}
# A proxy of the environment is not for 127.0.0.1.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(url: str) -> tuple[int, str]:
    """Send GET. Returns status and body.

    Raises:
        OSError: no response.
    """
    try:
        with OPENER.open(url, timeout=TIMEOUT_SECONDS) as response:
            return response.status, response.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace")


def routes(url: str) -> set[str]:
    """Return the paths of the app's OpenAPI document; none if it has no such document."""
    status, body = get(f"{url}/openapi.json")
    try:
        return set(json.loads(body)["paths"]) if status == 200 else set()
    except (ValueError, KeyError, TypeError):
        return set()


class NoAnswerError(SlipwayError):
    """The app does not answer."""


def text(url: str, project: Project) -> str:
    """Return the lines to print.

    Raises:
        NoAnswerError: the app does not answer.
    """
    tool = "make" if project.inventories == project.root / INVENTORIES[1] else "slipway"
    try:
        status, version = get(f"{url}/version")
        if status in GATEWAY_ERRORS:
            raise OSError(f"status {status}")
        paths = routes(url)
        has_docs = bool(paths) and get(f"{url}/docs")[0] == 200  # docs_url=None leaves the OpenAPI document
    except (OSError, ValueError) as error:
        raise NoAnswerError(f"The app at {url} does not answer ({error}). Type: {tool} status") from None
    lines = ["", f"Serving:  {url}"]
    # The app tells the internet none.
    lines += [f"  {url}/version: {version.strip()}"] if status == 200 and version.strip() != "{}" else []
    lines += ["", "Try next:"]
    if "/links" in paths:
        body = '{"url": "https://example.org"}'
        lines.append(f"  curl -s {url}/links -H 'Content-Type: application/json' -d '{body}'")
    lines.append(f"  open {url}{'/docs' if has_docs else ''}")
    steps = {
        "deploy a change": f"{tool} deploy",
        "roll back": f"{tool} rollback",
        "show the live release": f"{tool} status",
        "log in to the host": f"ssh -F {project.cache}/hosts/local/ssh_config local",
        "remove the host": f"{tool} down",
    }
    return "\n".join([*lines, *(f"  {step:<34}{command}" for step, command in steps.items())])
