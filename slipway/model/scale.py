"""The words of `slipway scale`, as laptops and hosts check them."""

import re

from slipway.model.errors import UsageError

MAX_WORKERS = 64
DEFAULT = "default"


def workers(words: str) -> int | None:
    """Read `workers=4`; None for `workers=default`, the number that provisioning gave.

    Raises:
        UsageError: it is something else.
    """
    name, _, count = words.partition("=")
    if name != "workers":
        raise UsageError(
            f"{words!r} names nothing that can be scaled: type workers=4, the number of web workers. That of another "
            "process is `count` in app_processes, for `slipway provision`"
        )
    if count == DEFAULT:
        return None
    if not re.fullmatch(r"[1-9][0-9]?", count) or int(count) > MAX_WORKERS:
        raise UsageError(
            f"{count!r} is no number of workers: type a whole number from 1 to {MAX_WORKERS}, as workers=4, or "
            f"workers={DEFAULT} for the number that provisioning gave"
        )
    return int(count)
