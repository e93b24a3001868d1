"""The folders and files beside the code that an app writes, which a host's sandbox refuses unless they are named."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from slipway.controller.init.sources import ASIDE, Module, Sources
from slipway.controller.init.variables_read import GETTERS

CREATES = {"os.makedirs", "os.mkdir"}
JOINS = {"os.path.join", "os.path.abspath", "os.path.realpath", "pathlib.Path", "pathlib.PurePath", "str"}
LOGS = re.compile(r"(Timed|Rotating|TimedRotating|Watched)?FileHandler")
SQLITE = re.compile(r"sqlite(\+\w+)?://(?:/(?!/|:memory:)|(?!/|:memory:))(?P<path>[^?]+)")
OUTSIDE = re.compile(r"/(tmp|var|dev|run|etc|home|root|proc|sys|usr/local|opt|$)|\.\.|.*[{}%~]|[A-Za-z]:")
"""Paths that are the host's, or computed."""


@dataclass(frozen=True)
class Writes:
    """What an app writes, as seen from the folder that it is started in, or a whole path."""

    folders: tuple[PurePosixPath, ...]
    files: tuple[str, ...]
    """Those in the folder with the code itself."""


def find_writes(sources: Sources, workdir: PurePosixPath) -> Writes:
    """Read the folders that an app creates, and the files that it logs to and keeps SQLite in.

    Args:
        sources: the app's files.
        workdir: the folder that the app is started in, relative to the repository.
    """
    modules = [
        module
        for module in sources.modules
        if not ASIDE.intersection(module.path.parts) and not module.path.name.startswith(("test", "conftest"))
    ]
    named = _named(modules, {}, workdir)
    named = _named(modules, named, workdir)  # BASE / "media"
    created = {path for module in modules for path in _created(module, named, workdir)}
    kept = {path for module in modules for path in _files(module, named)}
    folders = {
        path for path in created | {path.parent for path in kept} if path not in {PurePosixPath(), PurePosixPath("/")}
    }
    with_code = {above for module in modules for above in module.path.parents}
    folders = {path for path in folders if path.is_absolute() or workdir / path not in with_code}
    outermost = sorted(path for path in folders if not folders.intersection(path.parents))
    return Writes(tuple(outermost), tuple(sorted(str(path) for path in kept if len(path.parts) == 1)))


def _created(module: Module, named: dict[str, PurePosixPath], workdir: PurePosixPath) -> Iterator[PurePosixPath]:
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        argument: ast.expr | None = None
        if module.resolve(node.func) in CREATES and node.args:
            argument = node.args[0]
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "mkdir":
            argument = node.func.value
        path = _path(module, argument, named, workdir) if argument is not None else None
        if path:
            yield path


def _files(module: Module, named: dict[str, PurePosixPath]) -> Iterator[PurePosixPath]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (url := SQLITE.fullmatch(node.value)):
            path = _literal(url["path"])
            if path and "STATE_DIRECTORY" not in module.text:
                yield path
        elif isinstance(node, ast.Call) and node.args:
            called = module.resolve(node.func)
            logs = LOGS.fullmatch(called.rpartition(".")[2]) or called in {"loguru.logger.add", "sqlite3.connect"}
            path = _path(module, node.args[0], named, None) if logs else None
            if path:
                yield path


def _path(
    module: Module, node: ast.expr, named: dict[str, PurePosixPath], workdir: PurePosixPath | None
) -> PurePosixPath | None:
    """Return the path that an expression is, None if it is computed."""
    if isinstance(node, ast.Constant):
        return _literal(node.value)
    place = _place_of_file(module, node, workdir)
    if place is not None:
        return place
    if isinstance(node, ast.Call):
        parts = _parts(module, node)
    else:
        parts = [node.left, node.right] if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) else []
    if parts:
        paths = [path for part in parts if (path := _path(module, part, named, workdir)) is not None]
        return PurePosixPath(*paths) if len(paths) == len(parts) else None
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return named.get(name)


def _parts(module: Module, node: ast.Call) -> list[ast.expr]:
    """Return the parts of the path that a call returns: of a setting, its default."""
    called = module.resolve(node.func)
    if called in JOINS:
        return node.args
    if called in GETTERS:
        return node.args[1:2]
    if called.rpartition(".")[2] in {"Field", "config"}:
        default = next((keyword.value for keyword in node.keywords if keyword.arg == "default"), None)
        positional = node.args[0:1] if called.endswith("Field") else node.args[1:2]
        return positional or ([default] if default else [])
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if method in {"resolve", "absolute", "joinpath"} and isinstance(node.func, ast.Attribute):
        return [node.func.value, *node.args]
    return []


def _place_of_file(module: Module, node: ast.expr, workdir: PurePosixPath | None) -> PurePosixPath | None:
    """Return the folder that `Path(__file__).resolve().parent` is, as seen from where the app is started."""
    text = re.sub(r"\.(resolve|absolute)\(\)|(os\.)?path\.(abspath|realpath)(?=\()", "", ast.unparse(node))
    text = text.replace("(__file__)", "__file__")
    match = re.fullmatch(r"(?:pathlib\.)?Path__file__((?:\.parent)+)|((?:(?:os\.)?path\.dirname\(?)+)__file__\)*", text)
    if not match or workdir is None:
        return None
    place = module.path
    for _ in range(text.count(".parent") or text.count("dirname")):
        place = place.parent
    return place.relative_to(workdir) if place.is_relative_to(workdir) else None


def _named(modules: list[Module], known: dict[str, PurePosixPath], workdir: PurePosixPath) -> dict[str, PurePosixPath]:
    """Return the names of modules and classes that stand for one path, in all files."""
    found: dict[str, set[PurePosixPath | None]] = {}
    for module in modules:
        for node in ast.walk(module.tree):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
                continue
            for target in (target for target in targets if isinstance(target, ast.Name)):
                found.setdefault(target.id, set()).add(_path(module, node.value, known, workdir))
    return {name: path for name, paths in found.items() if len(paths) == 1 and (path := next(iter(paths))) is not None}


def _literal(value: object) -> PurePosixPath | None:
    if not isinstance(value, str) or not value or OUTSIDE.match(value) or "://" in value:
        return None
    path = PurePosixPath(value)
    return path if re.fullmatch(r"[\w./-]+", value) and path != PurePosixPath() else None
