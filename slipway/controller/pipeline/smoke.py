"""The app through its public URL: it must be ready, and answer with a release that is live on a host.

An app may tell the internet no release: then the hosts' own probe through nginx, which each deploy needs, has to do.
Several tries, for a few seconds: a balancer in front of several hosts may notice late.
"""

import json
import time
import urllib.error
import urllib.request

from slipway.controller.pipeline import PipelineError
from slipway.controller.pipeline.hosts import Statuses

TRIES = 5
PAUSE_SECONDS = 2
TIMEOUT_SECONDS = 10


def probe(url: str, statuses: Statuses) -> str:
    """Return in words what was seen. The paths are those that the hosts were provisioned with.

    Raises:
        PipelineError: the app is not ready, or serves another release.
    """
    for last in (False,) * (TRIES - 1) + (True,):
        try:
            return _look(url.rstrip("/"), statuses)
        except PipelineError:
            if last:
                raise
        time.sleep(PAUSE_SECONDS)
    raise AssertionError


def _look(url: str, statuses: Statuses) -> str:
    first = next(iter(statuses.values()))
    live, config = first["live"], first["config"]
    served = {str(status["live"]) for status in statuses.values()}
    try:
        _get(url + config["ready_path"])
        if any(status.get("maintenance") for status in statuses.values()):
            return "is ready, and answers all else with 503: `slipway maintenance` is on"
        if not config["version_path"]:
            return "is ready"
        version = json.loads(_get(url + config["version_path"]))
    except (OSError, ValueError) as error:
        raise PipelineError(f"{url} does not answer as it should: {error}") from None
    if isinstance(version, dict) and "release" not in version:
        return f"is ready, and tells the internet no release; the hosts have probed {live} through nginx"
    release = version["release"] if isinstance(version, dict) else None
    if release not in served:
        raise PipelineError(f"{url} answers with the release {release}, the hosts serve {', '.join(sorted(served))}")
    return f"is ready and serves {live}"


def _get(url: str) -> bytes:
    if not url.startswith(("http://", "https://")):
        raise urllib.error.URLError(f"{url} is no URL: SLIPWAY_URL begins with https:// or http://")
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
        body: bytes = answer.read()
        return body
