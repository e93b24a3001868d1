"""What the app connects to: databases, brokers and services elsewhere, as its dependencies tell."""

import re
from dataclasses import dataclass

from slipway.controller.init.packages import Packages

SCHEMES = {"asyncpg": "postgresql+asyncpg", "psycopg": "postgresql+psycopg", "psycopg2": "postgresql+psycopg2"}
"""What SQLAlchemy calls the drivers of PostgreSQL. An app with two of them serves with the asynchronous one."""
DRIVERS = (
    ("asyncpg", r"asyncpg|[\w-]+\[[\w-]*asyncpg\]|(piccolo|databases|gino)\[postgres\w*\]"),
    ("psycopg2", r"psycopg2(-binary)?|(aiopg|sqlalchemy\[postgresql(-psycopg2\w*)?\])|[\w-]+\[psycopg2\]"),
    ("psycopg", r"psycopg(-binary)?|[\w-]+\[(\w+-)?psycopg(binary)?\]"),
)
"""The packages, and the extras of other packages, that bring a driver of PostgreSQL."""
ORMS = ("sqlalchemy", "sqlmodel", "sqlalchemy[asyncio]", "fastapi-users-db-sqlalchemy")
BROKERS = (
    "aioredis", "arq", "celery[redis]", "dramatiq[redis]", "fastapi-limiter", "hiredis", "redis", "rq", "saq",
    "taskiq-redis", "valkey",
)  # fmt: skip
CELERY = ("celery", "celery[redis]")
ELSEWHERE = ("aiomysql", "asyncmy", "beanie", "elasticsearch", "motor", "mysqlclient", "pymongo", "pymysql", "pyodbc")
"""Databases that Slipway does not install: they are on another server."""
CLIENTS = (
    "aio-pika", "aioboto3", "aiobotocore", "aiohttp", "aiokafka", "aiomqtt", "anthropic", "azure-identity", "boto3",
    "botocore", "chromadb", "clickhouse-connect", "confluent-kafka", "dramatiq[rabbitmq]", "faststream[kafka]",
    "faststream[nats]", "faststream[rabbit]", "gmqtt", "google-cloud-storage", "google-genai", "httpx", "kafka-python",
    "litellm", "minio", "nats-py", "neo4j", "openai", "paho-mqtt", "pika", "qdrant-client", "requests", "resend",
    "sendgrid", "sentry-sdk", "stripe", "supabase", "taskiq-aio-pika", "temporalio", "twilio",
)  # fmt: skip
"""Packages of an app that calls services elsewhere: on the internet, or a queue that Slipway does not install."""
BY_PORT = ("aiocache", "broadcaster", "cashews", "limits", "saq", "slowapi")
"""Packages that refuse redis-py's form of a unix socket (`unix://`)."""


@dataclass(frozen=True)
class Services:
    """What the app connects to."""

    postgres: bool = False
    scheme: str = ""
    """The scheme of DATABASE_URL, empty for `postgresql`."""
    sync_scheme: str = ""
    """That of another driver, which is not asynchronous; empty without one."""
    broker: bool = False
    has_celery: bool = False
    """Celery takes other URLs than redis-py."""
    external: tuple[str, ...] = ()
    """The packages of databases on another server."""
    clients: tuple[str, ...] = ()
    """The packages that call services on the internet."""
    by_port: bool = False
    """One of these packages gets the broker's URL, and takes one with a port."""

    @property
    def has_data(self) -> bool:
        """Whether Slipway installs a database or a broker for the app."""
        return self.postgres or self.broker


def find_services(packages: Packages) -> Services:
    """Read an app's dependencies."""
    drivers = {driver for driver, pattern in DRIVERS if any(re.fullmatch(pattern, name) for name in packages.names)}
    used = next((driver for driver in SCHEMES if driver in drivers), "")
    broker = packages.has(*BROKERS) or (packages.has("celery") and not packages.has("celery[sqs]"))
    return Services(
        postgres=bool(drivers),
        scheme="asyncpg" if drivers and packages.has("tortoise-orm") else _scheme(used, packages),
        sync_scheme=next((SCHEMES[name] for name in ("psycopg", "psycopg2") if name in drivers and name != used), ""),
        broker=broker,
        has_celery=packages.has(*CELERY),
        external=tuple(name for name in ELSEWHERE if packages.has(name)),
        clients=tuple(name for name in CLIENTS if packages.has(name)),
        by_port=broker and packages.has(*BY_PORT),
    )


def _scheme(driver: str, packages: Packages) -> str:
    return SCHEMES[driver] if driver and packages.has(*ORMS) else ""
