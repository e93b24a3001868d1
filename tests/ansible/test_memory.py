"""What provisioning says of a host's memory: the tasks run here, with the memory that a host reports replaced."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ansible.conftest import ANSIBLE, run_play

TASKS = ANSIBLE / "roles/app/tasks/memory.yml"


def run(folder: Path, mebibytes: int, swap: int, **values: Any) -> tuple[int, str]:
    """Run the tasks on this machine as if it had so much memory. Returns the status, and all output as one line."""
    meminfo = f"MemTotal: {mebibytes << 10} kB\nMemFree: 1 kB\nSwapTotal: {swap << 10} kB\n"
    tasks = [each for each in yaml.safe_load(TASKS.read_text()) if "host_query" not in each]
    assert len(tasks) == 3
    given = {"app_memory_max": "512M", "app_processes": [], "app_database": "embedded"} | values
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    play["vars"] = given | {"__app_meminfo": {"stdout": meminfo}, "groups": {}}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    return run_play(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mebibytes", "swap", "values", "fails", "expected"),
    [
        (4096, 0, {}, False, None),
        (960, 1024, {}, False, None),
        (960, 0, {"hardening_swap_added": 960}, False, None),
        (
            960,
            0,
            {},
            False,
            "localhost is tight: 200 of the system and nginx + 2 releases (during a deploy) x 512 = 1224 MiB",
        ),
        (300, 0, {"app_memory_max": "64M"}, True, "localhost has too little memory for any app: 200 of the system"),
    ],
)
def test_a_host_whose_memory_is_too_small(
    tmp_path: Path, mebibytes: int, swap: int, values: dict[str, Any], fails: bool, expected: str | None
) -> None:
    status, output = run(tmp_path, mebibytes, swap, **values)
    assert bool(status) == fails, output
    assert ("tight" in output or "too little" in output) == bool(expected)
    assert (expected or "") in output
