"""GitHub's runner: outputs of a step, the page of a run, and output that is no command. Elsewhere, they are printed."""

import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def is_ci() -> bool:
    """Tell whether a workflow runs this."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def output(name: str, value: str) -> None:
    """Set an output of the step."""
    if "\n" in value:
        end = uuid.uuid4().hex  # not to be found in the text
        _append("GITHUB_OUTPUT", f"{name}<<{end}\n{value}\n{end}\n")
    else:
        _append("GITHUB_OUTPUT", f"{name}={value}\n")


def summary(text: str) -> None:
    """Add Markdown to the run's page."""
    _append("GITHUB_STEP_SUMMARY", text.rstrip("\n") + "\n")


@contextmanager
def no_commands() -> Iterator[None]:
    """Keep what is printed meanwhile from being a command to the workflow (::error::): apps log what they are sent."""
    if not is_ci():
        yield
        return
    token = uuid.uuid4().hex
    print(f"::stop-commands::{token}", flush=True)
    try:
        yield
    finally:
        print(f"::{token}::", flush=True)


def url() -> str:
    """Return the page of this run; empty outside of a workflow."""
    if not os.environ.get("GITHUB_RUN_ID"):
        return ""
    return "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}".format_map(os.environ)


def _append(variable: str, text: str) -> None:
    if path := os.environ.get(variable):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    else:
        sys.stdout.write(text)
        sys.stdout.flush()
