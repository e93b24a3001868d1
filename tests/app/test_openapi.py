"""The OpenAPI description is true: schemathesis asks the running service everything that it promises."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.broker import broker
from tests.app.service import ROOT, running


@pytest.mark.slow
def test_the_service_keeps_every_promise_of_its_schema(state: Path) -> None:
    # With a broker: without one, what needs it is a server error by design. With one worker: CPython 3.11's ast.parse, which
    # hypothesis calls, fails in threads ("recursion depth mismatch").
    with broker() as queue, running(state, WEB_CONCURRENCY="2", BROKER_URL=queue.url) as service:
        done = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"), "--config-file", ROOT / "tests/app/schemathesis.toml", "run", f"{service.url}/openapi.json",
                "--max-examples=12", "--workers=1", "--seed=1", "--max-redirects=0", "--no-color",
            ],
            cwd=state, env={**os.environ, "SCHEMATHESIS_HOOKS": str(ROOT / "tests/app/schemathesis_hooks.py")},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Operations:       11 selected / 11 total" in done.stdout
