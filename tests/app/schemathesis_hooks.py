"""Schemathesis asks for all that the schema allows, so also for ten seconds of sleep and ten minutes of events.

Those are legal and would be all that the test does; a legal value that is long becomes a legal one that is short.
"""

from typing import Any

import schemathesis

SHORT = {"seconds": 0.05, "count": 2}
LONGEST = {"seconds": 10, "count": 3000}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:  # noqa: ARG001 -- found by these names
    for name, short in SHORT.items():
        try:
            value = float(case.query[name])
        except (KeyError, TypeError, ValueError):
            continue
        if short < value <= LONGEST[name] and (name == "seconds" or value == int(value)):
            case.query[name] = short
