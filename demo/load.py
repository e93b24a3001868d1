"""The load of tests/load, for as long as a block of code runs, and its folder."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.host import ROOT, run

TOOL = str(ROOT / "tests/load/load")
LEAD_SECONDS = 4
"""Of load before the first deploy and after the last, to see what is usual."""
MAX_SECONDS = 600


@contextmanager
def load(
    folder: Path, url: str, rate: float, options: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Send requests while the block runs; what they met is written to the folder.

    Raises:
        BenchError: it did not start.
    """
    shutil.rmtree(folder, ignore_errors=True)
    place = ["--directory", str(folder.parent)]
    begin = ["start", folder.name, *place, "--url", url, "--rate", f"{rate:g}", "--max-seconds", str(MAX_SECONDS)]
    own = [f"{name}={value}" for name, value in (environment or {}).items()]
    run("env", *own, TOOL, *begin, *options)
    try:
        time.sleep(LEAD_SECONDS)
        yield
        time.sleep(LEAD_SECONDS)
    finally:
        # What failed is for the page to say; only a load that nobody can draw is an error.
        run(TOOL, "stop", folder.name, *place, "--max-failures", "1000000", "--min-rate", "0", "--max-gap", "1000")


def describe(folder: Path, **words: object) -> None:
    """Write down what the track shows."""
    (folder / "track.json").write_text(json.dumps(words, indent=1) + "\n")
