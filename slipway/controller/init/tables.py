"""The command that creates PostgreSQL's tables, for `release:` of the Procfile, where the app does so itself.

On a host the app may not: its role uses rows only. Where the tables are there, its own `create_all()` does nothing; SQL
of its own, and Tortoise's, is refused.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from slipway.controller.init.application import App
from slipway.controller.init.sources import ASIDE, Module, Sources

CALLS = frozenset({"create_all", "generate_schemas"})
"""SQLAlchemy's and SQLModel's, and Tortoise's."""
SQL_ALONE = CALLS - {"create_all"}
"""Those that do not look first whether a table is there: PostgreSQL refuses CREATE TABLE IF NOT EXISTS all the same."""
SQL = re.compile(r"\s*CREATE\s+(TABLE|EXTENSION|TYPE|SCHEMA|INDEX)\b", re.IGNORECASE)
STARTUP = frozenset({"asynccontextmanager", "on_event", "on_startup"})
"""Decorators of what an app runs when it starts."""


@dataclass(frozen=True)
class Tables:
    """Where an app creates its tables."""

    file: PurePosixPath
    command: str
    """Run in the folder that the app is imported from; empty if the code shows none."""
    is_by_sql: bool = False
    """By SQL of the app's own, which PostgreSQL refuses even where the tables are there."""


def find_tables(sources: Sources, app: App, root: PurePosixPath) -> Tables | None:
    """Return where and how tables are created; None if they are not.

    Args:
        sources: the repository's files.
        app: the app object.
        root: the folder that the app is imported from.
    """
    for module in sources.modules:
        aside = ASIDE.intersection(module.path.parts) or module.path.name.startswith("test")
        if not aside and any(_creates(node) for node in ast.walk(module.tree)):
            return Tables(
                module.path, next(_commands(module, app, root), ""), is_by_sql=_starts_by_sql(sources, module)
            )
    return None


def _starts_by_sql(sources: Sources, module: Module) -> bool:
    """Tell whether SQL of the app's own creates tables at import, or in a function that the app runs."""
    by_sql = [node for node in module.tree.body if any(_creates(each, SQL_ALONE) for each in ast.walk(node))]
    names = {
        node.name: node.decorator_list for node in by_sql if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    used = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for each in sources.modules
        for node in ast.walk(each.tree)
        if isinstance(node, ast.Name | ast.Attribute)
    }
    return len(names) < len(by_sql) or any(decorated or name in used for name, decorated in names.items())


def _commands(module: Module, app: App, root: PurePosixPath) -> Iterator[str]:
    """Yield the commands that would do it, that which does least first."""
    if not module.path.is_relative_to(root):
        return
    name, of_app = App(module.path, "").module(root), app.module(root)
    # Models are often known only once the app is imported.
    imports = "" if name == of_app else f"import {of_app}; "
    functions = [node for node in module.tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    creating = [node for node in functions if any(map(_creates, ast.walk(node)))]
    for function in creating:
        if not function.decorator_list and not _required(function.args):
            call, first = f"{function.name}()", f"{imports}from {name} import {function.name}; "
            is_async = isinstance(function, ast.AsyncFunctionDef)
            yield (
                f'python -c "import asyncio; {first}asyncio.run({call})"' if is_async else f'python -c "{first}{call}"'
            )
    as_script = [node for node in module.tree.body if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)]
    never_at_import = {each for node in [*functions, *as_script] for each in ast.walk(node)}
    if any(map(_creates, set(_outside_functions(module)) - never_at_import)):
        yield f'python -c "{imports}import {name}"'
    if any(_runs_at_start(module, function) for function in creating):
        taken = f"{app.name} as make; app = make()" if app.is_factory else f"{app.name} as app"
        yield (
            f'python -c "import asyncio, contextlib; from {of_app} import {taken}; '
            'asyncio.run(contextlib.AsyncExitStack().enter_async_context(app.router.lifespan_context(app)))"'
        )


def _creates(node: ast.AST, calls: frozenset[str] = CALLS) -> bool:
    """Tell whether a node names one of the functions, called or handed to `run_sync`, or SQL or Tortoise's argument."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and SQL.match(node.value) is not None
    if isinstance(node, ast.keyword):
        return node.arg == "generate_schemas" and isinstance(node.value, ast.Constant) and node.value.value is True
    if not isinstance(node, ast.Attribute) or node.attr not in calls:
        return False
    owner = node.value
    last = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    return node.attr == "generate_schemas" or last.lower().endswith("metadata")


def _outside_functions(module: Module) -> Iterator[ast.AST]:
    for statement in module.statements():
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from ast.walk(statement)


def _required(arguments: ast.arguments) -> bool:
    """Tell whether a function cannot be called without arguments."""
    positional = [*arguments.posonlyargs, *arguments.args]
    return len(positional) > len(arguments.defaults) or None in arguments.kw_defaults


def _runs_at_start(module: Module, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    for decorator in function.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if module.resolve(called).rpartition(".")[2] in STARTUP:
            return True
    return False
