"""Memory and disks over the time of a report, as sysstat has sampled them every ten minutes."""

import json
import subprocess
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway.report.samples import Samples

FOLDER = Path("/var/log/sysstat")
PROGRAM = "sadf"
PARTS = ("-r", "-S", "-F", "MOUNT")
"""Of sar: memory, swap, and file systems by where they are mounted."""
TIMEOUT_SECONDS = 60.0
Bins = list[float | None]


def read(samples: Samples, total_memory: int, folder: Path = FOLDER) -> dict[str, Any]:
    """Return the most that was in use in each bin, in percent: `memory`, `swap`, and `disks` by their mount point.

    Args:
        samples: the bins.
        total_memory: the machine's memory in bytes.
        folder: of sysstat's files, one a day.
    """
    found: dict[str, Any] = {"memory": _empty(samples), "swap": _empty(samples), "disks": {}}
    for entry in _entries(folder, samples.begin):
        if (index := samples.index(_moment(entry["timestamp"]))) is None:
            continue
        memory = entry.get("memory", {})
        if "avail" in memory and total_memory:
            _raise_to(found["memory"], index, 100 * (1 - (memory["avail"] << 10) / total_memory))
        if memory.get("swpfree", 0) + memory.get("swpused", 0):
            _raise_to(found["swap"], index, memory["swpused-percent"])
        for each in entry.get("filesystems", ()):
            disk = found["disks"].setdefault(each["mountpoint"], _empty(samples))
            _raise_to(disk, index, each["%ufsused"])
    return found


def _entries(folder: Path, begin: float) -> Iterator[dict[str, Any]]:
    for path in _files(folder, begin):
        command = [PROGRAM, "-j", str(path), "--", *PARTS]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)
            yield from json.loads(done.stdout)["sysstat"]["hosts"][0]["statistics"]
        except (OSError, ValueError, KeyError, IndexError):
            continue  # the file of another version, or without a sample yet; no sysstat


def _files(folder: Path, begin: float) -> Iterable[Path]:
    """Return the files that were written since the beginning: of days, and not the summaries of sa2 (sar01)."""
    return [path for path in folder.glob("sa[0-9]*") if path.stat().st_mtime >= begin]


def _moment(stamp: dict[str, str]) -> float:
    return datetime.fromisoformat(f"{stamp['date']}T{stamp['time']}").replace(tzinfo=UTC).timestamp()


def _empty(samples: Samples) -> Bins:
    return [None] * len(samples.bins)


def _raise_to(bins: Bins, index: int, percent: float) -> None:
    bins[index] = round(max(percent, bins[index] or 0.0), 1)
