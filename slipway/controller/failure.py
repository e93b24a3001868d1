"""What a person has to read of a task that failed: of Ansible's result, which also holds all that it was told."""

from collections.abc import Iterator, Mapping
from typing import Any

_OUTPUT = ("stderr", "stdout", "module_stderr", "module_stdout")
_EMPTY_MESSAGES = ("non-zero return code", "")
"""Messages that say only that a command failed. Its exit status and its output say why."""

_OWN_PROGRAM = " -m slipway.controller."
"""A program of Slipway's own says itself what failed and what to type."""


def lines(result: Mapping[str, Any], cause: str = "") -> Iterator[str]:
    """Yield the message of a failed task, its cause and what its program wrote, each unless it is there already.

    Args:
        result: as a callback of Ansible gets it; a censored one has its own explanation.
        cause: the message of the error that the others wrap.
    """
    message = _text(result.get("msg", result.get("censored")))
    if message not in _EMPTY_MESSAGES:
        yield from message.splitlines()
    if "cmd" in result and "rc" in result:
        command = result["cmd"]
        words = command if isinstance(command, str) else " ".join(map(str, command))
        if _OWN_PROGRAM not in words:
            yield f"exit status {result['rc']}: {words}"
    told = message
    for output in (cause.strip(), *(_text(result.get(name)).strip() for name in _OUTPUT)):
        if output and output not in told:
            yield from output.splitlines()
            told += output


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return "" if value is None else str(value)
