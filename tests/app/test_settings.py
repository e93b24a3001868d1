from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from app.settings import Settings

URL = "postgresql+asyncpg://app:secret@db/app"


@pytest.mark.parametrize("url", ["postgres://app:secret@db/app", "postgresql://app:secret@db/app", URL])
def test_every_spelling_of_postgres_means_the_driver_that_is_there(url: str) -> None:
    database_url = Settings(database_url=SecretStr(url)).database_url
    assert database_url is not None
    assert database_url.get_secret_value() == URL


def test_another_database_is_refused_without_telling_the_password() -> None:
    with pytest.raises(ValidationError, match="must start with postgresql://") as error:
        Settings(database_url=SecretStr("mysql://app:secret@db/app"))
    assert "secret" not in str(error.value)


def test_secrets_are_read_from_the_credentials_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "database_url").write_text("postgres://app:secret@db/app\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    settings = Settings.load()
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == URL
    assert "secret" not in repr(settings)


def test_connections_are_divided_among_the_workers() -> None:
    assert Settings(database_connections=20, web_concurrency=3).connections_per_worker == 6
    with pytest.raises(ValidationError, match="cannot be shared by 4 workers: set it to 4 or more"):
        Settings(database_url=SecretStr(URL), database_connections=3, web_concurrency=4)


def test_several_replicas_do_not_get_a_database_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICAS", "6")
    with pytest.raises(ValidationError, match=r"REPLICAS=6.* set DATABASE_URL=postgresql://.*, or REPLICAS=1"):
        Settings.load()
    monkeypatch.setenv("DATABASE_URL", URL)
    assert Settings.load().replicas == 6


def test_the_first_of_several_state_directories_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/app:/var/lib/other")
    assert Settings.load().state_directory == Path("/var/lib/app")


@pytest.mark.parametrize(
    ("url", "means"),
    [
        ("redis://:secret@data/0", "redis://:secret@data/0"),
        ("valkeys://data", "rediss://data"),
        ("valkey+socket:///run/valkey/socket", "redis+socket:///run/valkey/socket"),
    ],
)
def test_the_broker_is_valkey_or_redis(url: str, means: str) -> None:
    broker_url = Settings(broker_url=SecretStr(url)).broker_url
    assert broker_url is not None
    assert broker_url.get_secret_value() == means


def test_another_broker_is_refused_without_telling_the_password() -> None:
    with pytest.raises(ValidationError, match="must start with redis://") as error:
        Settings(broker_url=SecretStr("amqp://app:secret@data"))
    assert "secret" not in str(error.value)
