from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app import postgres
from tests.app.service import Service, migrate, running


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run the service with four workers, on each of the databases it supports."""
    state = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        with running(state, WEB_CONCURRENCY="4", SLIPWAY_RELEASE="20261122T105851-3f2a9c1") as service:
            yield service
        return
    with postgres.cluster() as url:
        migrate(state, DATABASE_URL=url)
        with running(
            state, DATABASE_URL=url, WEB_CONCURRENCY="4", SLIPWAY_RELEASE="20261122T105851-3f2a9c1"
        ) as service:
            yield service


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres.cluster() as url:
        yield url


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path
