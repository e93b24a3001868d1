"""Whose host this is: what provisioning recorded of the project."""

import json
from pathlib import Path
from typing import Any

from slipway.model.errors import SlipwayError

FILE = Path("/etc/slipway/site.json")


def load(path: Path = FILE) -> dict[str, Any] | None:
    """Return the project, the environment and the names of the site; None before 1.0, which recorded none.

    Raises:
        SlipwayError: the file is no JSON.
    """
    try:
        values: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise SlipwayError(
            f"{path} is damaged ({error}). It says whose host this is: remove it as root, and run "
            "`ansible-playbook site.yml`."
        ) from None
    return values
