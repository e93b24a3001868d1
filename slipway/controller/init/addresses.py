"""Addresses of a database or a broker that the code has written into it, and no setting can change."""

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from slipway.controller.init.sources import ASIDE, Module, Sources

POSTGRES = re.compile(r"postgres(ql)?(\+\w+)?://")
REDIS = re.compile(r"rediss?://")
HERE = {"localhost", "127.0.0.1"}
CONNECTS = {
    "Redis": "Redis", "StrictRedis": "Redis", "ConnectionPool": "Redis", "RedisSettings": "Redis",
    "connect": "PostgreSQL", "create_pool": "PostgreSQL",
}  # fmt: skip
"""What connects to a host that is an argument."""
DEFAULTS = re.compile(r"(^|\.)(getenv|get|Field|SecretStr|setdefault|print|\w*config\w*|\w*Dsn)$")
"""Calls whose first argument may be no address that is used."""
PLACES = frozenset({"alembic", "migrations", "versions"})


@dataclass(frozen=True)
class Address:
    """A line that connects to one place whatever the environment says."""

    file: PurePosixPath
    line: int
    service: str
    """PostgreSQL or Redis."""
    is_here: bool
    """It is the machine's own loopback, where app_data_access: tcp brings both services."""


def written_addresses(sources: Sources, neighbours: Collection[str]) -> tuple[Address, ...]:
    """Return the addresses in an app's code that are no default of a setting.

    Args:
        sources: the app's files.
        neighbours: the names of Compose's services, which no host knows.
    """
    found = [
        address
        for module in sources.modules
        if not (ASIDE | PLACES).intersection(module.path.parts) and not module.path.name.startswith("test")
        for address in (*_urls(module, neighbours), *_hosts(module, neighbours))
    ]
    return tuple(found)


def _urls(module: Module, neighbours: Collection[str]) -> Iterator[Address]:
    """Yield the URLs that a name of a module or function is bound to, or that a call gets, but for defaults."""
    fields = {
        field for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef) and node.bases for field in node.body
    }
    for node in ast.walk(module.tree):
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) and node not in fields else None
        if isinstance(node, ast.Call) and node.args and not DEFAULTS.search(ast.unparse(node.func)):
            value = node.args[0]
        url = value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""
        service = "PostgreSQL" if POSTGRES.match(url) else "Redis" if REDIS.match(url) else ""
        host = re.sub(r"[:/?].*", "", url.partition("://")[2].rpartition("@")[2])
        if service and host in {*HERE, *neighbours}:
            yield Address(module.path, value.lineno if value else 0, service, host in HERE)


def _hosts(module: Module, neighbours: Collection[str]) -> Iterator[Address]:
    for node in (node for node in ast.walk(module.tree) if isinstance(node, ast.Call)):
        service = CONNECTS.get(ast.unparse(node.func).rpartition(".")[2], "")
        for keyword in node.keywords if service else ():
            host = keyword.value.value if isinstance(keyword.value, ast.Constant) else ""
            if keyword.arg == "host" and host in {*HERE, *neighbours}:
                yield Address(module.path, node.lineno, service, host in HERE)
