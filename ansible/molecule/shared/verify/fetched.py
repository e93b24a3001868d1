"""What a host answers to itself: it has neither curl nor wget."""

import shlex
from typing import Any

PROGRAM = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=30).read().decode())"


def fetch(host: Any, url: str) -> str:
    """Return the body of a URL, as the host gets it."""
    body: str = host.check_output(f"python3 -c {shlex.quote(PROGRAM)} {shlex.quote(url)}")
    return body
