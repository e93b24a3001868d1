"""Where PostgreSQL and the broker are, in the variables by which an app looks for them."""

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from slipway.model.address import in_url

SOCKET_FOLDER = "/run/postgresql"
BROKER_SOCKET = "/run/broker/broker.sock"
DATABASE = "app"
PORT = 5432
BROKER_PORT = 6379
LOOPBACK = "127.0.0.1"
NO_PASSWORD = "peer"  # noqa: S105
"""Where PostgreSQL asks the kernel, for apps that want a password. Nobody reads it."""
SECRET, MIGRATION_SECRET = "DATA_ENVIRONMENT", "MIGRATION_DATA_ENVIRONMENT"
"""Secrets that hold the whole environment of a unit, in the form of systemd's EnvironmentFile=."""

LOCAL_URL = "{scheme}://{user}@localhost/{database}?host={socket}"
"""Pydantic's PostgresDsn wants a host, and libpq's `host` wins over it: so psycopg, psycopg2 and SQLAlchemy, with
asyncpg as well, find the socket. Raw asyncpg takes the host instead; given no URL, it connects by PGHOST."""
REMOTE_URL = "{scheme}://{user}:{password}@{host}:{port}/{database}"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Access:
    """How one user reaches the data."""

    user: str
    """The user of PostgreSQL: `app`, or `app_migrate`."""
    address: str | None = None
    """Of the data host. None: this host."""
    password: str = ""
    broker: bool = False
    """There is a broker. Migrations may not use it, but get its URL: settings that require one are read there, too."""
    broker_password: str = ""
    tcp: bool = False
    """On this host: by the loopback of the unit's own network (data-postgres@.socket), not by the sockets."""

    @property
    def host(self) -> str:
        """The address as it stands in a URL."""
        if self.address is None:
            return LOOPBACK if self.tcp else "localhost"
        return in_url(self.address)

    @property
    def broker_url(self) -> str:
        """As Celery and kombu take it; empty without a broker."""
        if not self.broker:
            return ""
        return f"redis+socket://{BROKER_SOCKET}" if self.by_socket else self._redis

    @property
    def redis_url(self) -> str:
        """As redis-py takes it; empty without a broker."""
        if not self.broker:
            return ""
        return f"unix://{BROKER_SOCKET}" if self.by_socket else self._redis

    @property
    def by_socket(self) -> bool:
        """Whether it is reached by unix sockets."""
        return self.address is None and not self.tcp

    @property
    def _redis(self) -> str:
        if self.address is None:
            return f"redis://{LOOPBACK}:{BROKER_PORT}/0"
        options = "ssl_cert_reqs=required&ssl_ca_certs=/run/data/ca.pem"
        login = f"app:{quote(self.broker_password, safe='')}@" if self.broker_password else ""
        return f"rediss://{login}{self.host}:{BROKER_PORT}/0?{options}"


@dataclass(frozen=True)
class Names:
    """The variables app_database_scheme, app_database_url and app_data_environment."""

    scheme: str = "postgresql"
    url: str = ""
    """A form of DATABASE_URL with fields in braces. Empty: LOCAL_URL or REMOTE_URL."""
    environment: Mapping[str, str] | None = None
    """More variables by their name, each a form with the same fields and those of `FIELDS`."""


FIELDS = (
    *("scheme", "user", "password", "host", "port", "database", "socket"),
    *("database_url", "broker_url", "redis_url", "broker_password"),
)


def environment(access: Access, names: Names) -> dict[str, str]:
    """Return the variables of a unit.

    Raises:
        ValueError: a name that no variable can have, or a form with a field that there is not.
    """
    password = access.password or (NO_PASSWORD if access.tcp else "")
    fields = {
        **{"scheme": names.scheme, "user": access.user, "password": password, "host": access.host},
        **{"port": str(PORT), "database": DATABASE, "socket": SOCKET_FOLDER},
    }
    form = names.url or (LOCAL_URL if access.by_socket else REMOTE_URL)
    fields["database_url"] = url = _fill("app_database_url", form, fields)
    fields |= {
        "broker_url": access.broker_url,
        "redis_url": access.redis_url,
        "broker_password": access.broker_password,
    }
    values = {
        "DATABASE_URL": url,
        # libpq's own, which psycopg, asyncpg and psql know as well.
        "PGHOST": SOCKET_FOLDER if access.by_socket else access.address or LOOPBACK,
        "PGPORT": str(PORT),
        "PGUSER": access.user,
        "PGDATABASE": DATABASE,
    }
    if password:
        values["PGPASSWORD"] = password
    if access.broker:
        values["BROKER_URL"] = access.broker_url
    for name, value in (names.environment or {}).items():
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"app_data_environment has {name!r}. The name of a variable has letters, digits and underscores, no "
                "digit first. Rename it."
            )
        values[name] = _fill(f"app_data_environment, {name}", value, fields)
    return values


def _fill(where: str, form: str, fields: Mapping[str, str]) -> str:
    """Fill a form in. What stands in a URL is encoded as that needs it.

    Raises:
        ValueError: it names a field that there is not, or its braces do not match.
    """
    try:
        named = {name for _, name, _, _ in string.Formatter().parse(form) if name is not None}
    except ValueError as error:
        raise ValueError(f"{where} is {form!r}: {error}. Write a brace that is meant as such twice.") from None
    if unknown := sorted(named - set(fields)):
        raise ValueError(
            f"{where} is {form!r}, and there is no {{{unknown[0]}}}. There are "
            f"{', '.join(f'{{{name}}}' for name in fields)}."
        )
    if "://" in form:
        encoded = ("user", "password", "broker_password")
        fields = {name: quote(value, safe="") if name in encoded else value for name, value in fields.items()}
    return form.format_map(fields)


def assignments(values: Mapping[str, str]) -> list[str]:
    """Return the lines of a unit that set these variables: see "Environment=" in systemd.exec(5)."""
    return [f"Environment={_quoted(f'{name}={value}').replace('%', '%%')}" for name, value in values.items()]


def environment_file(values: Mapping[str, str]) -> str:
    """Return the text of a file that EnvironmentFile= reads."""
    return "".join(f"{name}={_always_quoted(value)}\n" for name, value in values.items())


def _quoted(text: str) -> str:
    return _always_quoted(text) if re.search(r"[\s\"'\\]", text) else text


def _always_quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
