"""The data host, as root."""

from typing import Any

import pytest
import testinfra
from deploys import HOSTS, NAME


@pytest.fixture(scope="session")
def database() -> Any:
    """The data host, as root."""
    name = f"{NAME}-db"
    return testinfra.get_host(f"ssh://{name}", ssh_config=str(HOSTS / name / "ssh_config"), sudo=True)
