"""The paths that an app answers to GET, as far as decorators and prefixes can be read."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from slipway.controller.init.application import CLASSES
from slipway.controller.init.sources import Module, Origin, Sources


@dataclass
class Routes:
    """The routers of a repository, and how an app includes each."""

    sources: Sources
    constants: dict[str, str]
    """Prefixes with a name: constants, and settings with a default."""
    apps: set[Origin] = field(default_factory=set)
    own: dict[Origin, str | None] = field(default_factory=dict)
    """Each router's prefix; None if it is computed."""
    included: dict[Origin, list[tuple[Origin, str | None]]] = field(default_factory=dict)
    """What includes a router or mounts an app, and the prefix."""
    paths: list[tuple[Origin, str]] = field(default_factory=list)

    @classmethod
    def read(cls, sources: Sources) -> "Routes":
        """Read decorators, routers and calls of include_router and mount."""
        routes = cls(sources, _constants(sources))
        for module in sources.modules:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
                    routes._add_router(module, node, node.value)
                elif isinstance(node, ast.Call):
                    routes._add_route(module, node)
                    routes._add_included(module, node)
                    routes._add_passed(module, node)
                elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    for owner, path in _decorators(node, routes.constants):
                        if origin := sources.origin(module, owner):
                            routes.paths.append((origin, path))
        return routes

    def answered(self, file: PurePosixPath | None = None) -> set[str]:
        """Return the whole paths of the app in a file; of every app if none is in that file: a factory is elsewhere."""
        there = {app for app in self.apps if app[0] == file}
        tops = {app for app in there or self.apps if app not in self.included}
        return {
            f"{prefix}{path}" for router, path in self.paths for prefix in self._prefixes(router, tops, frozenset())
        }

    def _prefixes(self, router: Origin, tops: set[Origin], below: frozenset[Origin]) -> Iterator[str]:
        if router in tops:
            yield ""
        own = self.own.get(router)
        if own is None or router in below:
            return
        for parent, prefix in self.included.get(router, []):
            if prefix is not None:
                yield from (f"{above}{prefix}{own}" for above in self._prefixes(parent, tops, below | {router}))

    def _add_router(self, module: Module, node: ast.Assign | ast.AnnAssign, call: ast.Call) -> None:
        kind = module.resolve(call.func)
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name) and CLASSES.fullmatch(kind):
                self.apps.add((module.path, target.id))
                self.own[module.path, target.id] = ""
            elif isinstance(target, ast.Name) and kind.rpartition(".")[2] == "APIRouter":
                self.own[module.path, target.id] = _text(_argument(call, None, "prefix"), self.constants)

    def _add_route(self, module: Module, call: ast.Call) -> None:
        """Take a route that a call adds, and not a decorator."""
        if isinstance(call.func, ast.Attribute) and call.func.attr in {"add_api_route", "add_route"}:
            origin = self.sources.origin(module, call.func.value)
            argument = _argument(call, 0, "path")
            path = _text(argument, self.constants) if argument else None
            if origin and path is not None and _gets(call):
                self.paths.append((origin, path))

    def _add_passed(self, module: Module, call: ast.Call) -> None:
        """Take a router that is an argument by name, as of a factory, as one that the parameter includes."""
        function = self.sources.origin(module, call.func)
        for keyword in call.keywords if function else ():
            child = self.sources.origin(module, keyword.value) if isinstance(keyword.value, ast.Name) else None
            if function and child and keyword.arg:
                parameter = function[0], keyword.arg
                self.own.setdefault(parameter, "")
                if child != parameter:
                    self.included.setdefault(child, []).append((parameter, ""))

    def _add_included(self, module: Module, call: ast.Call) -> None:
        if not isinstance(call.func, ast.Attribute) or call.func.attr not in {"include_router", "mount"}:
            return
        mounts = call.func.attr == "mount"
        argument = _argument(call, 1, "app") if mounts else _argument(call, 0, "router")
        parent = self.sources.origin(module, call.func.value)
        child = self.sources.origin(module, argument) if argument else None
        if parent and child:
            prefix = _text(_argument(call, 0 if mounts else None, "path" if mounts else "prefix"), self.constants)
            self.included.setdefault(child, []).append((parent, prefix.rstrip("/") if prefix else prefix))


def _decorators(
    node: ast.FunctionDef | ast.AsyncFunctionDef, constants: dict[str, str]
) -> Iterator[tuple[ast.Name, str]]:
    """Yield the owner and the path of `@name.get(path)`."""
    for decorator in node.decorator_list:
        if (
            isinstance(decorator, ast.Call)
            and isinstance(decorator.func, ast.Attribute)
            and decorator.func.attr in {"get", "api_route", "route"}
            and isinstance(decorator.func.value, ast.Name)
            and _gets(decorator)
        ):
            argument = _argument(decorator, 0, "path")
            path = _text(argument, constants) if argument else None
            if path is not None:
                yield decorator.func.value, path


def _gets(call: ast.Call) -> bool:
    """Whether a route answers GET: the default."""
    methods = _argument(call, None, "methods")
    return methods is None or any(isinstance(each, ast.Constant) and each.value == "GET" for each in ast.walk(methods))


def _argument(call: ast.Call, position: int | None, name: str) -> ast.expr | None:
    if position is not None and len(call.args) > position:
        return call.args[position]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _text(node: ast.expr | None, constants: dict[str, str]) -> str | None:
    """Return the text that an expression is; empty if there is none, None if it is computed."""
    if node is None:
        return ""
    if isinstance(node, ast.Constant):
        return str(node.value) if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        parts = [_text(part.value if isinstance(part, ast.FormattedValue) else part, constants) for part in node.values]
        return None if None in parts else "".join(part or "" for part in parts)
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return constants.get(name)


def _constants(sources: Sources) -> dict[str, str]:
    """Return the names in classes and modules that stand for one path, in all files."""
    found: dict[str, set[str]] = {}
    for module in sources.modules:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Constant):
                continue
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if isinstance(node.value.value, str) and (not node.value.value or node.value.value.startswith("/")):
                for target in targets:
                    if isinstance(target, ast.Name):
                        found.setdefault(target.id, set()).add(node.value.value)
    return {name: next(iter(values)) for name, values in found.items() if len(values) == 1}
