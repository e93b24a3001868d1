"""Where the app object is: an instance of a framework's class, or the function that returns one."""

import ast
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from slipway.controller.init.sources import ASIDE, Module, Origin, Sources

CLASSES = re.compile(
    r"(fastapi(\.applications)?\.FastAPI|starlette(\.applications)?\.Starlette|litestar(\.app)?\.Litestar|quart\.Quart"
    r"|django\.core\.asgi\.get_asgi_application|channels\.routing\.ProtocolTypeRouter)"
)
WRAPPER = re.compile(r"ASGI|Middleware", re.IGNORECASE)
"""A class with such a name takes an app and is served in its place: socketio.ASGIApp, CORSMiddleware."""
WSGI = re.compile(r"flask\.|django\.core\.wsgi\.|wsgi", re.IGNORECASE)
USUAL_FILES = ("main", "app", "api", "asgi", "server", "__init__")
USUAL_NAMES = ("app", "application", "api", "asgi")
USUAL_FACTORIES = ("create_app", "make_app", "get_app", "app_factory", "build_app")
HELD = re.compile(r"(\w+_)?app(lication)?")
"""What an object calls the app that it has: `server.app`, `mcp.streamable_http_app()`."""
SERVERS = re.compile(r"\b(uvicorn|gunicorn|hypercorn|granian|daphne|fastapi)\b", re.IGNORECASE)
REFERENCE = re.compile(r"(?<![\w./:-])([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)(?![\w/.:])")
STARTERS = re.compile(r"uvicorn\.(run|Config)|granian\.Granian")
"""What starts a server in Python."""
FILE = re.compile(r"\bfastapi\W+(?:run|dev)\b.*?([\w./-]+\.py)\b(?::(\w+))?")


@dataclass(frozen=True)
class App:
    """An app object and where it is."""

    file: PurePosixPath
    """Relative to the repository."""
    name: str
    is_factory: bool = False
    imported_as: str = ""
    """The module's name in the command that starts it, empty without one: `shop.main`."""

    def __str__(self) -> str:
        return f"{self.name}{'()' if self.is_factory else ''} in {self.file}"

    @property
    def is_aside(self) -> bool:
        """Whether it is an app of tests, documentation or examples."""
        in_folder = any(part in ASIDE for part in self.file.parts[:-1])
        return in_folder or self.file.name.startswith("test_") or self.file.name == "conftest.py"

    @property
    def root(self) -> PurePosixPath | None:
        """The folder from which the module has that name."""
        path = self.file.parent if self.file.name == "__init__.py" else self.file.with_suffix("")
        depth = len(self.imported_as.split("."))
        return PurePosixPath(*path.parts[:-depth]) if self.imported_as else None

    def module(self, root: PurePosixPath) -> str:
        """Return the module's name as imported from a folder: `shop.main`."""
        path = self.file.relative_to(root).with_suffix("")
        parts = path.parts[:-1] if path.name == "__init__" else path.parts
        return ".".join(parts)


def find_apps(sources: Sources) -> list[App]:
    """Return every app object and factory of a repository, the most probable first.

    Left out are an app that another one mounts or wraps, and a factory that a module-level object comes from.
    """
    makers = _makers(sources)
    subclasses = set(_subclasses(sources))
    objects: list[Origin] = []
    used: set[Origin] = set()
    for module in sources.modules:
        for name, call in _assigned(module):
            made_by = sources.origin(module, call.func) if isinstance(call, ast.Call) else None
            is_class = CLASSES.fullmatch(module.resolve(_called(call)))
            if is_class or made_by in makers or made_by in subclasses:
                objects.append((module.path, name))
                used |= {made_by} if made_by else set()
    inner = _mounted(sources)
    for module in sources.modules:
        for name, call in _assigned(module):
            wrapped = {sources.origin(module, each) for each in _arguments(call)}.intersection(objects)
            # app = Middleware(app) is served; other = Admin(app) is not.
            if wrapped and (WRAPPER.search(module.resolve(_called(call)).rpartition(".")[2]) or name in USUAL_NAMES):
                objects.append((module.path, name))
                inner |= wrapped - {(module.path, name)}
    used |= _inner_makers(sources, makers)
    found = [App(*origin) for origin in dict.fromkeys(objects)]
    with_object = {app.file for app in found}
    found += [
        App(path, name, is_factory=True)
        for (path, name), bare in makers.items()
        if bare and (path, name) not in used and path not in with_object
    ]
    served = [app for app in found if (app.file, app.name) not in inner]
    return sorted(served or found or _held(sources), key=_rank)


def factories_with_arguments(sources: Sources) -> list[App]:
    """Return the functions that return an app and cannot be called as they are, the most probable first."""
    return sorted((App(*origin) for origin, bare in _makers(sources).items() if not bare), key=_rank)


def made_by(sources: Sources, factory: App) -> set[Origin | None]:
    """Return the objects that come from a factory: `app = create_app()` is the same app."""
    return {
        (module.path, name)
        for module in sources.modules
        for name, call in _assigned(module)
        if isinstance(call, ast.Call) and sources.origin(module, call.func) == (factory.file, factory.name)
    }


def from_command(text: str, sources: Sources, apps: Iterable[App]) -> App | None:
    """Return the app that a command starts: `uvicorn shop.main:app`, `fastapi run shop/main.py`.

    Args:
        text: a Dockerfile, a Procfile, a script.
        sources: the repository's Python files.
        apps: those that were found; a server's command may name another object in one of the files.
    """
    apps = list(apps)
    for line in text.replace("\\\n", " ").splitlines():
        file = FILE.search(line)
        for app in apps:
            is_file = file and f"/{app.file}".endswith(f"/{file[1].removeprefix('./')}")
            if file and is_file and file[2] in {None, app.name}:
                return app
        for module, name in REFERENCE.findall(line):
            for app in apps:
                dotted = ".".join(app.file.with_suffix("").parts).removesuffix(".__init__")
                if app.name == name and f".{dotted}".endswith(f".{module}"):
                    return replace(app, imported_as=module)
            if SERVERS.search(line) and (named := _bound(sources, module, name)) and not named.is_aside:
                return replace(named, imported_as=module, is_factory=named.is_factory or "--factory" in line)
    return None


def from_entrypoint(pyproject: str, sources: Sources, apps: Iterable[App]) -> App | None:
    """Return the app that `[tool.fastapi] entrypoint` names."""
    try:
        entrypoint = tomllib.loads(pyproject).get("tool", {}).get("fastapi", {}).get("entrypoint", "")
    except tomllib.TOMLDecodeError:
        return None
    return from_command(f"fastapi {entrypoint}", sources, apps)


def calls_of_servers(sources: Sources) -> str:
    """Return commands that do what `uvicorn.run(...)` and its like do in Python, one per line."""
    lines = []
    for module in sources.modules:
        for node in ast.walk(module.tree) if SERVERS.search(module.text) else ():
            if not isinstance(node, ast.Call) or not STARTERS.fullmatch(module.resolve(node.func)):
                continue
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            app = node.args[0] if node.args else named.get("app") or named.get("target")
            if isinstance(app, ast.Constant) and isinstance(app.value, str):
                factory = named.get("factory")
                is_factory = isinstance(factory, ast.Constant) and factory.value is True
                lines.append(f"uvicorn {'--factory ' if is_factory else ''}{app.value}")
            elif app and (origin := sources.origin(module, app)):
                lines.append(f"fastapi run {origin[0]}:{origin[1]}")
    return "\n".join(lines)


def starting_modules(sources: Sources) -> list[str]:
    """Return the files that start a server, as a path and as `python -m` takes each: `run.py`, `shop`."""
    found = []
    for module in sources.modules:
        calls = (node for node in ast.walk(module.tree) if isinstance(node, ast.Call))
        if SERVERS.search(module.text) and any(STARTERS.fullmatch(module.resolve(call.func)) for call in calls):
            dotted = ".".join(module.path.with_suffix("").parts)
            found += [str(module.path), dotted.removesuffix(".__main__")]
    return found


def _bound(sources: Sources, dotted: str, name: str) -> App | None:
    """Return a module's object of any kind that a server is told to serve."""
    module = sources.find(dotted)
    for statement in module.statements() if module else ():
        if module and isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name == name:
            return App(
                module.path, name, is_factory=not {"scope", "receive"} & {each.arg for each in statement.args.args}
            )
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        if module and any(isinstance(target, ast.Name) and target.id == name for target in targets):
            value = getattr(statement, "value", None)
            return None if value and WSGI.match(module.resolve(_called(value))) else App(module.path, name)
    return App(module.path, name) if module and name in module.imported else None


def _assigned(module: Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that a module binds to the result of a call, with the call; with its type if a name has one."""
    for statement in module.statements():
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for name in (target.id for target in targets if isinstance(target, ast.Name)):
            if isinstance(statement.value, ast.Call):
                yield name, statement.value
            if isinstance(statement, ast.AnnAssign):
                yield name, statement.annotation


def _called(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


def _arguments(node: ast.expr) -> list[ast.expr]:
    return [*node.args, *(keyword.value for keyword in node.keywords)] if isinstance(node, ast.Call) else []


def _subclasses(sources: Sources) -> Iterator[Origin]:
    for module in sources.modules:
        for node in module.statements():
            if isinstance(node, ast.ClassDef) and any(CLASSES.fullmatch(module.resolve(base)) for base in node.bases):
                yield module.path, node.name


def _makers(sources: Sources) -> dict[Origin, bool]:
    """Return the functions that return an app, also by calling one another, and whether each needs no arguments."""
    functions = [
        (module, node)
        for module in sources.modules
        for node in module.statements()
        if isinstance(node, ast.FunctionDef)
    ]
    makers: dict[Origin, bool] = {}
    found = True
    while found:
        found = False
        for module, node in functions:
            if (module.path, node.name) not in makers and _makes(sources, module, node, makers):
                makers[module.path, node.name] = _needs_nothing(node.args)
                found = True
    return makers


def _inner_makers(sources: Sources, makers: dict[Origin, bool]) -> set[Origin]:
    """Return the functions whose app another function returns, or mounts on its own; not those that tests call."""
    return {
        inner
        for module in sources.modules
        for node in module.statements()
        if isinstance(node, ast.FunctionDef)
        and makers.get((module.path, node.name))
        and not App(module.path, "").is_aside
        for call in ast.walk(node)
        if isinstance(call, ast.Call)
        and (inner := sources.origin(module, call.func)) in makers
        and inner is not None
        and inner != (module.path, node.name)
    }


def _makes(sources: Sources, module: Module, node: ast.FunctionDef, makers: Collection[Origin]) -> bool:
    if node.returns and CLASSES.fullmatch(module.resolve(node.returns)):
        return True

    def is_app(value: ast.AST | None) -> bool:
        return isinstance(value, ast.Call) and (
            CLASSES.fullmatch(module.resolve(value.func)) is not None or sources.origin(module, value.func) in makers
        )

    created = {
        target.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Assign) and is_app(inner.value)
        for target in inner.targets
        if isinstance(target, ast.Name)
    }
    returned = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return)]
    return any(is_app(value) or (isinstance(value, ast.Name) and value.id in created) for value in returned)


def _needs_nothing(arguments: ast.arguments) -> bool:
    required = len(arguments.args) + len(arguments.posonlyargs) - len(arguments.defaults)
    return required <= 0 and None not in arguments.kw_defaults


def _held(sources: Sources) -> list[App]:
    """Return the names bound to the app that another object has: `app = Server().app`, `app = mcp.http_app()`."""
    getters = {
        (module.path, node.name)
        for module in sources.modules
        for node in module.statements()
        if isinstance(node, ast.FunctionDef) and node.name in USUAL_FACTORIES
        for inner in ast.walk(node)
        if isinstance(inner, ast.Return) and _is_held(module, inner.value)
    }
    return [
        App(module.path, target.id)
        for module in sources.modules
        for statement in module.statements()
        if isinstance(statement, ast.Assign)
        and (_is_held(module, statement.value) or sources.origin(module, _called(statement.value)) in getters)
        for target in statement.targets
        if isinstance(target, ast.Name) and HELD.fullmatch(target.id)
    ]


def _is_held(module: Module, node: ast.expr | None) -> bool:
    got = _called(node) if node else None
    return (
        isinstance(got, ast.Attribute)
        and HELD.fullmatch(got.attr) is not None
        and not WSGI.search(f"{module.resolve(_called(got.value))}. {got.attr}")
    )


def _mounted(sources: Sources) -> set[Origin | None]:
    """Return the apps that another app mounts."""
    return {
        sources.origin(module, argument)
        for module in sources.modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "mount"
        for argument in _arguments(node)
    }


def _rank(app: App) -> tuple[bool, int, int, int, str]:
    file, name = app.file.stem, app.name
    usual = USUAL_FACTORIES if app.is_factory else USUAL_NAMES
    return (
        app.is_aside,
        USUAL_FILES.index(file) if file in USUAL_FILES else len(USUAL_FILES),
        len(app.file.parts),
        usual.index(name) if name in usual else len(usual),
        str(app),
    )
