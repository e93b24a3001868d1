"""Maintenance: nginx answers 503 with a message, while the app, its health checks and its deploys go on.

nginx looks for the file SWITCH at each request (nginx/maintenance.conf). It is on the disk: a deploy and a reboot leave
it.
"""

import html
import json
from pathlib import Path
from typing import Any

from slipway.engine.durable import sync_folder, write_atomically
from slipway.engine.files import read_regular
from slipway.engine.releases import now
from slipway.model.errors import SlipwayError
from slipway.model.maintenance import check

FOLDER, SWITCH, HTML, JSON = "maintenance", "on.json", "message.html", "message.json"


def switch_on(root: Path, message: str, by: str) -> dict[str, Any]:
    """Show a message in place of the app, or another one than before. Returns what `state` does.

    Args:
        root: the folder of the site, /srv/app.
        message: plain text.
        by: who says so.

    Raises:
        UsageError: the message cannot be shown.
        OSError: the disk is full, or failed.
    """
    check(message)
    folder = root / FOLDER
    folder.mkdir(mode=0o755, exist_ok=True)
    since = (state(root) or {}).get("since") or now()
    values = {"since": since, "by": by, "message": message}
    write_atomically(folder / HTML, html.escape(message))
    write_atomically(folder / JSON, json.dumps(message)[1:-1])
    write_atomically(folder / SWITCH, json.dumps(values))  # last: from here on nginx shows it
    sync_folder(root)
    return values


def switch_off(root: Path) -> bool:
    """Show the app again. Returns False where it was shown already.

    Raises:
        OSError: the disk failed.
    """
    try:
        (root / FOLDER / SWITCH).unlink()
    except FileNotFoundError:
        return False
    sync_folder(root / FOLDER)
    return True


def state(root: Path) -> dict[str, Any] | None:
    """Return when maintenance began (ISO 8601), who began it and its message; None if it is off.

    `deploy` may write anything there: what is no text is left out.
    """
    switch = root / FOLDER / SWITCH
    try:
        values = json.loads(read_regular(switch))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, SlipwayError):
        values = {}
    found = values if isinstance(values, dict) else {}
    return {name: str(found[name]) if name in found else None for name in ("since", "by", "message")}
