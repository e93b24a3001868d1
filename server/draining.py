"""How long a server that is told to stop serves on, while each response says `Connection: close`.

A load balancer learns late that a server stops. And a client that keeps a connection may send the next request in the
moment in which the server closes it, and cannot know whether that was served: so the client is to close. On a VM
neither is needed: the socket is systemd's, and nginx closes first.
"""

import re
from collections.abc import Mapping

from server.sizing import BadSettingError

MAX_SECONDS = 20
"""Less than the graceful timeout, whose rest is for the requests that were sent last."""


def seconds(env: Mapping[str, str]) -> int:
    """Return how long to drain. Raises BadSettingError for a DRAIN_SECONDS that makes no sense."""
    text = env.get("DRAIN_SECONDS", "").strip() or "0"
    if not re.fullmatch("[0-9]{1,2}", text, re.ASCII) or int(text) > MAX_SECONDS:
        raise BadSettingError(
            f"DRAIN_SECONDS={text!r} is not a time to drain: type whole seconds from 0 to {MAX_SECONDS}, for example "
            "DRAIN_SECONDS=3, or unset it for 0"
        )
    return int(text)
