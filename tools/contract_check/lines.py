"""The lines of docs/contract.md, and what was found of each."""

import textwrap
from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Whether an image keeps a line."""

    KEPT = "ok"
    BROKEN = "not ok"
    UNSEEN = "cannot be seen"


@dataclass(frozen=True)
class Finding:
    """What was found of one line, and what to change if it is broken."""

    state: State
    why: str = ""


LINES = {
    "system": "is for linux and the host's CPU architecture",
    "socket": "serves HTTP, by the image's own ENTRYPOINT and CMD, on the socket that it is handed",
    "shell": "has /bin/sh",
    "folders": "has ordinary folders where systemd mounts",
    "procfile": "names its other processes in a Procfile in WORKDIR",
    "ready": "tells whether it is ready, over HTTP",
    "stop": "ends on SIGTERM within the request timeout",
    "writes": "writes only to $STATE_DIRECTORY and /tmp",
    "logs": "logs to stdout and stderr",
    "brings": "brings its own ca-certificates and tzdata",
    "secrets": "reads secrets from files in $CREDENTIALS_DIRECTORY",
    "import": "has, at import, no thread, socket or event loop",
    "database": "can serve on the database of the release after it",
    "several": "works with several processes",
}
"""As docs/contract.md begins each, in its order."""

Findings = dict[str, Finding]


def table(findings: Findings) -> str:
    """One line of the contract per line, with what was found under it."""
    rows = []
    for key, text in LINES.items():
        finding = findings[key]
        rows.append(f"{finding.state.value:<15} {text}")
        for paragraph in finding.why.splitlines():
            rows += textwrap.wrap(paragraph, 118, initial_indent=" " * 18, subsequent_indent=" " * 18)
    return "\n".join(rows)
