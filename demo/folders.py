"""Where runs are kept: .cache/demo/KIND-TIME."""

import json
import time
from pathlib import Path

from bench.host import ROOT

RUNS = ROOT / ".cache/demo"


def new_folder(kind: str) -> Path:
    """Make a folder for a run of that kind."""
    folder = RUNS / f"{kind}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    folder.mkdir(parents=True)
    return folder


def write_run(folder: Path, **words: object) -> None:
    """Write down what holds for the whole run."""
    (folder / "run.json").write_text(json.dumps(words, indent=1) + "\n")
