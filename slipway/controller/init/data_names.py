"""The usual names of settings that say where the data is, and the form that app_data_environment gives each."""

import re
from collections.abc import Iterator

from slipway.controller.init.services import Services

STORE = r"(POSTGRES(QL)?|PG|DB|DATABASE|SQL)"
DATA = (
    (
        r"(ASYNC_)?(POSTGRES(QL)?|PG|DB|DATABASE|SQLALCHEMY|SQL)_?(DATABASE_?)?(URL|URI|DSN|(CONNECTION_?)?STRING)(_ASYNC)?",
        "{database_url}",
    ),
    (rf"{STORE}_(USER|USERNAME)", "{user}"),
    (rf"{STORE}_(PASSWORD|PASSWD|PASS|PWD)", "{password}"),
    (rf"{STORE}_(HOST|SERVER|HOSTNAME)", "{host}"),
    (rf"{STORE}_PORT", "{port}"),
    (rf"{STORE}_(DB|DBNAME|NAME|DATABASE|BASE)", "{database}"),
    (r"CELERY_BROKER(_URL)?", "{broker_url}"),
    (r"(REDIS|VALKEY)(_\w+)?_HOST", "{host}"),
    (r"(REDIS|VALKEY)(_\w+)?_PORT", "6379"),
    (r"(REDIS|VALKEY)(_\w+)?_(PASSWORD|PASSWD|PASS)", "{broker_password}"),
    (
        r"(REDIS|VALKEY|CACHE)_?(URL|URI|DSN|BACKEND)|(CELERY_)?RESULT_BACKEND(_URL)?|CELERY_BACKEND(_URL)?",
        "{redis_url}",
    ),
)
BROKER = re.compile(r"REDIS|VALKEY")
ELSEWHERE = re.compile(r"MONGO|MYSQL|MARIADB|CLICKHOUSE|NEO4J|ELASTIC|MSSQL|ORACLE|TEST", re.IGNORECASE)
"""In a prefix: what follows is not about PostgreSQL."""


def data_form(setting: str, prefixes: tuple[str, ...], services: Services) -> str:
    """Return the form of a setting, empty if it is not about data that Slipway installs for the app.

    Args:
        setting: its name.
        prefixes: what the app may put before a usual name: APP_DB_HOST is DB_HOST.
        services: what the app connects to.
    """
    for name in _usual_names(setting, prefixes):
        for pattern, form in DATA:
            if re.fullmatch(pattern, name):
                is_broker = form in {"{broker_url}", "{redis_url}"} or BROKER.search(pattern)
                return form if (services.broker if is_broker else services.postgres) else ""
    return ""


def url_form(setting: str, value: str, services: Services) -> str:
    """Return the form of a setting whose example or default is the URL of a store, or that is a second driver's."""
    if ELSEWHERE.search(setting):
        return ""
    if services.sync_scheme and re.search(r"(^|_)SYNC_.*UR[LI]|UR[LI]_SYNC$", setting):
        return f"{services.sync_scheme}://{{user}}:{{password}}@{{host}}:{{port}}/{{database}}"
    if services.postgres and re.match(r"(postgres\w*|asyncpg)(\+\w+)?://", value):
        return "{database_url}"
    if services.broker and re.match(r"rediss?://", value):
        return "{broker_url}" if "BROKER" in setting and services.has_celery else "{redis_url}"
    return ""


def is_database(name: str, form: str) -> bool:
    """Tell whether a setting says where PostgreSQL is."""
    return form in {"{database_url}", "{host}"} and not BROKER.search(name)


def _usual_names(setting: str, prefixes: tuple[str, ...]) -> Iterator[str]:
    name = re.sub("__+", "_", setting)
    yield name
    for part in prefixes:
        prefix = f"{re.sub('[^A-Z0-9]+', '_', part.upper()).strip('_')}_"
        if len(prefix) > 1 and name.startswith(prefix) and not ELSEWHERE.search(prefix):
            yield name.removeprefix(prefix)
