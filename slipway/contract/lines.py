"""The lines of docs/reference/contract.md, and the finding for each."""

import textwrap
from collections import Counter
from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Whether an image keeps a line."""

    KEPT = "ok"
    BROKEN = "not ok"
    UNSEEN = "cannot be seen"


@dataclass(frozen=True)
class Finding:
    """The state of one line, and the change to make if the line is broken."""

    state: State
    why: str = ""


LINES = {
    "system": "is for linux and the host's CPU architecture",
    "socket": "serves HTTP, by the image's own ENTRYPOINT and CMD, on a port or on the socket that it is handed",
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
"""Key and first words of each row in docs/reference/contract.md, in the order of that page."""

ONLY_HOSTS = (
    "system calls that the sandbox refuses (SystemCallFilter=), and users, owners and namespaces that are changed",
    "memory that is made executable (MemoryDenyWriteExecute=, app_allow_jit)",
    "what is read of /proc besides processes (ProcSubset=pid)",
    "addresses that app_egress does not allow: here it is no network, or all",
    "who connects to PostgreSQL (peer), and passwords",
    "app_jobs, the number of processes and which of them are single",
)
"""Restrictions of the units that a container cannot impose."""

Findings = dict[str, Finding]


def table(findings: Findings) -> str:
    """Format one row per line of the contract, with its finding below.

    Lines that cannot be seen for the same reason share a row.
    """
    hidden = Counter(finding.why for finding in findings.values() if finding.state is State.UNSEEN)
    rows, told = [], set()
    for key, text in LINES.items():
        finding = findings[key]
        if finding.state is State.UNSEEN and hidden[finding.why] > 1:
            if finding.why in told:
                continue
            told.add(finding.why)
            text = f"{hidden[finding.why]} lines of the contract"
        rows.append(f"{finding.state.value:<15} {text}")
        for paragraph in finding.why.splitlines():
            rows += textwrap.wrap(paragraph, 118, initial_indent=" " * 18, subsequent_indent=" " * 18)
    return "\n".join(rows)
