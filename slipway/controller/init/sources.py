"""The Python files of a repository, parsed but never imported, and what absolute imports in them resolve to."""

import ast
import io
import os
import tokenize
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

Origin = tuple[PurePosixPath, str]
"""The file that binds a name, and the name."""
SKIPPED = frozenset({
    "__pycache__", "build", "dist", "node_modules", "site-packages", "third_party", "vendor", "venv",
})  # fmt: skip
"""Folders with no source of the repository's own; so are hidden ones and every virtual environment."""
ASIDE = frozenset({"docs", "docs_src", "examples", "scripts", "test", "tests"})
"""Folders whose apps are not the one to deploy, if there is another."""
MAX_BYTES = 512 * 1024
"""A larger file is generated, and not where an app is created."""
MAX_FILES = 5000
"""Read at most, those nearest to the top first."""
MAX_HOPS = 8
"""Imports that are followed from a name to what it stands for."""


@dataclass(frozen=True)
class Module:
    """A file that Python can parse."""

    path: PurePosixPath
    """Relative to the repository."""
    text: str
    tree: ast.Module

    @cached_property
    def imported(self) -> dict[str, str]:
        """Map each imported name to what it stands for: `FastAPI` to `fastapi.FastAPI`."""
        names: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    names[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                module = f"{'.' * node.level}{f'{node.module}.' if node.module else ''}"
                names |= {alias.asname or alias.name: f"{module}{alias.name}" for alias in node.names}
        return names

    def resolve(self, node: ast.AST) -> str:
        """Return the dotted name that an expression stands for, empty if it is none: `fastapi.FastAPI`."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            owner = self.resolve(node.value)
            return f"{owner}.{node.attr}" if owner else ""
        return ""

    def statements(self) -> Iterator[ast.stmt]:
        """Yield the statements that run at import, also those under `if`, `try` and `with`."""
        yield from _flat(self.tree.body)


@dataclass(frozen=True)
class Sources:
    """A repository's Python files, nearest to its top first."""

    folder: Path
    modules: tuple[Module, ...]

    @classmethod
    def read(cls, folder: Path) -> "Sources":
        """Parse every Python file below a folder that is not a virtual environment's, a cache's or hidden."""
        parsed = (_parse(folder, path) for path in _files(folder))
        modules = [module for module in parsed if module]
        return cls(folder, tuple(sorted(modules, key=lambda module: (len(module.path.parts), module.path))))

    def below(self, place: PurePosixPath) -> "Sources":
        """Return those in a folder: what is beside an app is another program's."""
        return Sources(self.folder, tuple(module for module in self.modules if module.path.is_relative_to(place)))

    @cached_property
    def by_path(self) -> dict[PurePosixPath, Module]:
        """Map each file to its module."""
        return {module.path: module for module in self.modules}

    @cached_property
    def _by_dotted(self) -> dict[str, list[Module]]:
        """Map what an absolute import may call a module to the modules: the folder it is imported from is not known."""
        found: dict[str, list[Module]] = {}
        for module in self.modules:
            parts = module.path.with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            for start in range(len(parts)):
                found.setdefault(".".join(parts[start:]), []).append(module)
        return found

    def origin(self, module: Module, node: ast.AST) -> Origin | None:
        """Follow a name, or a name in a module, through imports to the file that binds it; None if that is not here."""
        if isinstance(node, ast.Name) and node.id not in module.imported:
            return module.path, node.id
        owner = node
        while isinstance(owner, ast.Attribute):
            owner = owner.value
        if not isinstance(owner, ast.Name) or owner.id not in module.imported:
            return None
        dotted = module.resolve(node)
        for _ in range(MAX_HOPS):
            package, _, name = dotted.rpartition(".")
            found = self.find(package or ".", module) if dotted.startswith(".") or package else None
            if found is None or name not in found.imported:
                return (found.path, name) if found else None
            module, dotted = found, found.imported[name]
        return None

    def find(self, dotted: str, near: Module | None = None) -> Module | None:
        """Return a module by its absolute name, or by one relative to another module; of equals the nearest to that."""
        relative = dotted.lstrip(".")
        if near and relative != dotted:
            folder = PurePosixPath(*near.path.parts[: len(near.path.parts) - (len(dotted) - len(relative))])
            path = folder.joinpath(*relative.split(".")) if relative else folder
            file = self.by_path.get(path.with_name(f"{path.name}.py")) if path.name else None
            return file or self.by_path.get(path / "__init__.py")
        modules = self._by_dotted.get(dotted, [])
        parents = set(near.path.parents) if near else set()
        return max(modules, key=lambda each: len(parents.intersection(each.path.parents)), default=None)

    def import_root(self, module: Module, base: PurePosixPath, started: PurePosixPath | None = None) -> PurePosixPath:
        """Return the folder from which a module is imported: where most of its own absolute imports are found.

        Args:
            module: the module.
            base: the folder of the app's dependencies. Of equals the folder with the module's package comes first, then
                `src`, then this.
            started: the folder from which a command names the module, which comes before these. A script's own
                `uvicorn.run("main:app")` may be seen from another folder than the package's imports.
        """
        names = module.imported.values()
        level = max((len(name) - len(name.lstrip(".")) for name in names), default=0)
        outermost_first = [folder for folder in reversed(module.path.parents) if folder.is_relative_to(base)]
        # A relative import needs a package around the module, for each of its dots.
        outermost_first = outermost_first[: max(1, len(outermost_first) - level)]
        above = module.path.parent
        while self._has(above / "__init__") and above.name:
            above = above.parent
        first = [above] if above != module.path.parent else []
        candidates = sorted(
            outermost_first, key=lambda folder: (folder != started, folder not in first, folder != base / "src")
        )
        # `app.db` tells a package app from a module of that name.
        heads = {tuple(name.split(".")[:depth]) for name in names if name[:1] != "." for depth in (1, 2)}
        return max(candidates, key=lambda folder: sum(self._has(folder.joinpath(*head)) for head in heads))

    def imports_itself(self, module: Module, folder: PurePosixPath) -> bool:
        """Tell whether a module imports from a folder as from a package: `app.db` is the folder's db.py."""
        names = (name.split(".") for name in module.imported.values())
        return any(len(name) > 1 and name[0] == folder.name != "" and self._has(folder / name[1]) for name in names)

    def _has(self, path: PurePosixPath) -> bool:
        target = self.folder / path
        return target.with_suffix(".py").is_file() or target.is_dir()


def _files(folder: Path) -> Iterator[Path]:
    """Yield the Python files, folder by folder from the top: of too many the deepest are left out."""
    seen = 0
    waiting = deque([folder])
    while waiting:
        entries = _entries(waiting.popleft())
        names = {entry.name for entry in entries}
        if "pyvenv.cfg" in names:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in SKIPPED and not entry.name.startswith("."):
                    waiting.append(Path(entry.path))
            elif entry.name.endswith(".py") and not entry.is_symlink():
                seen += 1
                if seen > MAX_FILES:
                    return
                yield Path(entry.path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:  # a folder that this user may not read
        return []


def _parse(folder: Path, path: Path) -> Module | None:
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        data = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the repository's own strings and escapes
            tree = ast.parse(text)
    except (OSError, SyntaxError, UnicodeDecodeError, ValueError, RecursionError):
        return None
    return Module(PurePosixPath(path.relative_to(folder)), text, tree)


def _flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        for field in ("body", "orelse", "finalbody"):
            if isinstance(statement, ast.If | ast.Try | ast.With):
                yield from _flat(getattr(statement, field, []))
        if isinstance(statement, ast.Try):
            for handler in statement.handlers:
                yield from _flat(handler.body)
