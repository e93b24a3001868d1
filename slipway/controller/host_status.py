"""What a host says of itself: `slipway status --json` and `slipway report`, over SSH as the user deploy."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from slipway.model.errors import SlipwayError

TIMEOUT_SECONDS = 60
OPTIONS = ("-oBatchMode=yes", "-oConnectTimeout=15")
"""Of ssh, where nobody answers a question."""

Status = dict[str, Any]


class NoStatusError(SlipwayError):
    """A host cannot be reached, or has no engine; the message is what ssh or the host printed."""


def ask(ssh: Sequence[str], environment: Mapping[str, str] | None = None) -> Status:
    """Return the status of a host.

    Args:
        ssh: the program with the arguments that lead to the host as the user deploy.
        environment: its environment; None for this process's.

    Raises:
        NoStatusError: there is no answer, or none that is a status.
    """
    return ask_for("slipway status --json", ssh, environment, TIMEOUT_SECONDS)


def ask_for(
    command: str, ssh: Sequence[str], environment: Mapping[str, str] | None = None, timeout: float = TIMEOUT_SECONDS
) -> dict[str, Any]:
    """Return the JSON document that a command prints on a host. `timeout` in seconds; for the others see `ask`.

    Raises:
        NoStatusError: there is no answer, or none that is such a document.
    """
    program, *arguments = ssh
    try:
        done = subprocess.run(
            [program, *OPTIONS, *arguments, command],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoStatusError(f"no answer within {timeout:g} s") from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise NoStatusError(done.stderr.strip() or done.stdout.strip() or "no answer")
    return answer
