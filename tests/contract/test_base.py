"""The base image that is built where no registry answers, under a Dockerfile of somebody else's."""

from pathlib import Path

import pytest

from slipway.controller.build import Build
from tests.contract.conftest import run
from tools.checkout import CHECKOUT

INSTALLS = {
    "pip": "pip install --no-cache-dir h11==0.16.0",
    "venv": "python -m venv /venv && /venv/bin/pip install h11==0.16.0",
    "uv": "pip install --no-cache-dir uv && uv pip install --system h11==0.16.0",
}


further = pytest.mark.catalogue


@pytest.mark.parametrize("by", ["uv", pytest.param("pip", marks=further), pytest.param("venv", marks=further)])
def test_packages_are_installed_behind_a_proxy_with_a_ca_of_its_own(by: str, tmp_path: Path) -> None:
    """Such a CA is in the machine's /usr/local/share/ca-certificates; the Dockerfile does not know of it."""
    (tmp_path / "Dockerfile").write_text(f"FROM python:3.13-slim\nRUN {INSTALLS[by]}\n")
    tag = f"slipway-base-{CHECKOUT}:{by}"
    Build(tmp_path, tmp_path / "Dockerfile", tag, tmp_path / "log").run()
    run("rmi", tag)
