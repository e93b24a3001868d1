"""What a process imports costs every deploy time, or every process memory."""

import os
import subprocess
import sys

import pytest

from tests.app.service import ROOT


@pytest.mark.parametrize("module", ["app.migrate", "app.tasks"])
def test_only_the_web_server_needs_fastapi(module: str) -> None:
    code = f"import sys, {module}; print('sqlalchemy' in sys.modules, 'fastapi' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"BROKER_URL": "redis://localhost/0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", "False"]
