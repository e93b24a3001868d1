"""tools/install: what a job of the workflows has of Slipway."""

import os
import subprocess
from pathlib import Path

import pytest

from tools.checkout import ROOT

pytestmark = pytest.mark.slow


def test_a_new_machine_has_the_tool_and_nothing_else(tmp_path: Path) -> None:
    checkout = tmp_path / "slipway"
    listed = subprocess.check_output(["git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"], text=True)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            (checkout / name).write_bytes((ROOT / name).read_bytes())
            (checkout / name).chmod((ROOT / name).stat().st_mode)
    # An artifact that a step has downloaded before.
    (checkout / ".cache/bin").mkdir(parents=True)
    (checkout / ".cache/bin/cosign").write_text("#!/bin/sh\n")
    path = tmp_path / "path"
    environment = os.environ | {"GITHUB_PATH": str(path)}
    for _ in range(2):
        done = subprocess.run(
            [checkout / "tools/install"], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # the second time nothing is to do
    (folder,) = set(path.read_text().splitlines())
    assert {each.name for each in Path(folder).iterdir()} == {"cosign", "slipway", "uv"}
    assert os.access(Path(folder) / "cosign", os.X_OK)
    version = subprocess.check_output([Path(folder) / "slipway", "version"], cwd=tmp_path, text=True)
    assert "ansible-core" in version
    packages = next((checkout / ".venv/lib").glob("*/site-packages"))
    assert not [name for name in ("pytest", "molecule", "mypy") if (packages / name).exists()]
