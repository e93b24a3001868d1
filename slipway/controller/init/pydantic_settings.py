"""The settings of pydantic's classes."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from slipway.controller.init.setting import Setting, is_field, text_of
from slipway.controller.init.sources import Module, Origin, Sources

PORT = re.compile(r"\b(Redis|Valkey)Dsn\b")
"""Types of pydantic that refuse the URL of a unix socket. PostgresDsn takes it in the query."""
NUMBER = re.compile(r"(Annotated\[|Optional\[)?(int|float|bool|PositiveInt|NonNegativeInt|timedelta)\b")
RANDOM = re.compile(r"secrets\.|os\.urandom|uuid\.?uuid4|str\(uuid")
"""A default that differs in each process and each release: what one signs, another refuses."""


@dataclass(frozen=True)
class Options:
    """Those of a class of settings that say which names it reads."""

    prefix: str
    delimiter: str
    """Between the name of a setting that is a class and those inside of it; empty if such a setting is one name."""
    is_first_version: bool
    """Pydantic 1, whose BaseSettings is its own: `str | None` is None without a default, and Field takes `env`."""
    above: str = ""
    """The prefix of the outermost class."""


def settings_classes(sources: Sources) -> dict[Origin, Options]:
    """Return pydantic's classes of settings and those derived from one here."""
    classes: dict[Origin, Options] = {}
    nodes = [
        (module, node) for module in sources.modules for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)
    ]
    found = True
    while found:
        found = False
        for module, node in nodes:
            parents = [classes.get(origin) for base in node.bases if (origin := sources.origin(module, base))]
            first = [base for each in node.bases if (base := module.resolve(each)).rpartition(".")[2] == "BaseSettings"]
            if (module.path, node.name) not in classes and (first or any(parents)):
                is_first_version = any(base.startswith("pydantic.") for base in first)
                inherited = next(filter(None, parents), Options("", "", is_first_version))
                classes[module.path, node.name] = Options(
                    _config(node, "env_prefix") or inherited.prefix,
                    _config(node, "env_nested_delimiter") or inherited.delimiter,
                    inherited.is_first_version,
                )
                found = True
    return classes


def fields(sources: Sources, module: Module, classes: dict[Origin, Options]) -> Iterator[Setting]:
    """Yield the settings of a module's classes."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef) and (module.path, node.name) in classes:
            yield from _fields_of(sources, module, node, classes[module.path, node.name], is_required=True)


def _fields_of(
    sources: Sources, module: Module, node: ast.ClassDef, options: Options, *, is_required: bool
) -> Iterator[Setting]:
    for field in node.body:
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        kind = ast.unparse(field.annotation)
        if field.target.id == "model_config" or field.target.id.startswith("_") or "ClassVar" in kind:
            continue
        alias, has_no_default = _field(field, is_first_version=options.is_first_version)
        has_no_default &= not (options.is_first_version and re.search(r"\bOptional\[|\| None\b", kind))
        name = (alias or f"{options.prefix}{field.target.id}").upper()
        nested = _class(sources, module, field.annotation) if options.delimiter else None
        is_needed = is_required and has_no_default
        if nested:
            inner = replace(options, prefix=f"{name}{options.delimiter}", above=options.above or options.prefix)
            yield from _fields_of(sources, *nested, inner, is_required=is_needed)
        else:
            prefix = options.above or options.prefix
            default = text_of(field.value)
            yield Setting(
                name,
                is_needed,
                is_secret="Secret" in kind,
                prefix=prefix,
                default=default,
                is_number=NUMBER.match(kind) is not None,
                takes_socket=not PORT.search(kind),
            )


def _class(sources: Sources, module: Module, node: ast.expr) -> tuple[Module, ast.ClassDef] | None:
    """Return the class of the repository that an annotation names."""
    path, name = sources.origin(module, node) or (None, "")
    there = sources.by_path.get(path) if path else None
    for statement in there.statements() if there else ():
        if there and isinstance(statement, ast.ClassDef) and statement.name == name and statement.bases:
            is_model = not any("Enum" in ast.unparse(base) for base in statement.bases)
            return (there, statement) if is_model else None
    return None


def _config(node: ast.ClassDef, option: str) -> str:
    """Return an option of a settings class: of `model_config`, or of a class Config inside."""
    for inner in ast.walk(node):
        value: ast.expr | None = None
        if (isinstance(inner, ast.keyword) and inner.arg == option) or (
            isinstance(inner, ast.Assign) and [ast.unparse(target) for target in inner.targets] == [option]
        ):
            value = inner.value
        elif isinstance(inner, ast.Dict):
            keys = [key.value if isinstance(key, ast.Constant) else None for key in inner.keys]
            value = inner.values[keys.index(option)] if option in keys else None
        if isinstance(value, ast.Constant):
            return str(value.value)
    return ""


def _field(field: ast.AnnAssign, *, is_first_version: bool) -> tuple[str, bool]:
    """Return the alias of a setting, empty if there is none, and whether it has no default that is always the same."""
    annotated = [each for each in ast.walk(field.annotation) if is_field(each)]
    value = field.value or next(iter(annotated), None)
    if value is None:
        return "", True
    if isinstance(value, ast.Constant):
        return "", value.value is Ellipsis
    if not (isinstance(value, ast.Call) and is_field(value)):
        return "", RANDOM.match(ast.unparse(value)) is not None
    keywords = {keyword.arg: keyword.value for keyword in value.keywords}
    alias = keywords.get("validation_alias") or keywords.get("alias") or (is_first_version and keywords.get("env"))
    default = value.args[0] if value.args else keywords.get("default")
    has_default = (default is not None and ast.unparse(default) not in {"...", "Ellipsis"}) or (
        "default_factory" in keywords
    )
    if isinstance(alias, ast.Call) and alias.args:  # AliasChoices: the first
        alias = alias.args[0]
    if isinstance(alias, ast.List | ast.Tuple) and alias.elts:
        alias = alias.elts[0]
    return str(alias.value) if isinstance(alias, ast.Constant) else "", not has_default
