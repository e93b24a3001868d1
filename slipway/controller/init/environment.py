"""The settings and secrets that the app reads from its environment."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from slipway.controller.init.data_names import data_form, is_database, url_form
from slipway.controller.init.environment_names import allowed_environments, named_environment
from slipway.controller.init.examples import example_values, usual_value
from slipway.controller.init.services import Services
from slipway.controller.init.sources import ASIDE, Module, Origin, Sources
from slipway.model import names

SECRET = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_?KEY|_KEY$|_DSN$")
URL = re.compile(r"(URL|URI|DSN|CONNECTION_?STRING)$")
STORE = re.compile(r"MONGO|MYSQL|MARIADB|DATABASE|^DB_")
GIVEN = {
    "BROKER_URL", "DATABASE_CONNECTIONS", "DATABASE_URL", "PGDATABASE", "PGHOST", "PGPASSWORD", "PGPORT", "PGUSER",
    "PORT",
}  # fmt: skip
"""Set by Slipway under these names."""


KNOWN = re.compile(r"(SECRET(_\w*KEY)?|PASSWORD|PASSWD|ENCRYPTION_KEY|SIGNING_KEY)$")
"""Secrets whose default in the code must not be production's."""
DEVELOPMENT = re.compile(r"dev|develop|development|local", re.IGNORECASE)
"""What a setting of this kind is by default that has to be another on a host."""
STAGE = re.compile(r"(.*_)?(ENV|ENVIRONMENT|STAGE|MODE|PROFILE)(_NAME)?")
"""Settings that say where the app runs: another one's `local` is a folder, or a cache."""
PORT = re.compile(r"\b(Redis|Valkey)Dsn\b")
"""Types of pydantic that refuse the URL of a unix socket. PostgresDsn takes it in the query."""
RANDOM = re.compile(r"secrets\.|os\.urandom|uuid\.?uuid4|str\(uuid")
"""A default that differs in each process and each release: what one signs, another refuses."""
GETTERS = {"os.environ.get", "os.getenv"}
READERS = re.compile(r"(starlette\.config\.Config|decouple\.(Auto)?Config|environs\.Env)")
"""Classes whose objects read a setting by a call: `config("NAME")`, `env.str("NAME")`."""


@dataclass(frozen=True)
class Setting:
    """A name that the app reads from its environment."""

    name: str
    is_required: bool
    """The app does not start without it."""
    is_secret: bool = False
    """Its type says so; its name may as well."""
    may_be_missing: bool = False
    """It is read without a default: None where it is missing."""
    prefix: str = ""
    """What a class of settings puts before its names."""
    default: str = ""
    """Its text, if it is a text in the code."""
    takes_socket: bool = True
    """False: its type is a URL that has no unix socket."""


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


@dataclass(frozen=True)
class Environment:
    """The names, each group sorted."""

    data: dict[str, str]
    """Where the data is: the name and the form of app_data_environment."""
    secrets: tuple[str, ...]
    """Secrets that the app does not start without."""
    settings: dict[str, str]
    """Settings that the app does not start without, with the value of .env.example, or empty."""
    unset_secrets: tuple[str, ...]
    """Secrets that are None where they are missing: the app starts and may fail later."""
    known_secrets: tuple[str, ...]
    """Secrets that have a default in the code, which everybody may read there."""
    development: tuple[str, ...]
    """Settings by whose default the app is one of development, and whose other values the code does not have."""
    has_database_name: bool
    """The app reads where PostgreSQL is from a setting that is found."""
    finds_database: bool
    """The app reads where PostgreSQL is, as far as its code can be read."""
    production_name: str
    """What the app calls production in ENVIRONMENT; `production` if it does not say."""
    staging_name: str
    reads_credentials: bool
    """The app reads secrets from files in $CREDENTIALS_DIRECTORY, so they need not be in its environment."""
    needs_tcp: bool
    """The app takes a host and a port, or a URL with them, where a unix socket has neither."""


def find_environment(
    sources: Sources,
    services: Services,
    base: PurePosixPath,
    local: tuple[PurePosixPath, ...] = (),
    given: dict[str, str] | None = None,
) -> Environment:
    """Read the settings classes of pydantic and os.environ of an app.

    Args:
        sources: the repository's Python files.
        services: what the app connects to: without a database there is no name for one.
        base: the folder of the app's dependencies; what is beside it is another program's,
        local: but for these folders of packages that it requires.
        given: values by which Compose starts it.
    """
    read: list[Setting] = []
    data: dict[str, str] = {}
    modules = [
        module
        for module in sources.modules
        if any(map(module.path.is_relative_to, (base, *local))) and not any(part in ASIDE for part in module.path.parts)
    ]
    classes = _settings_classes(sources)
    getters = _getters(modules)
    examples = (given or {}) | example_values(sources.folder, base, modules)
    for module in modules:
        found = [
            *_fields(sources, module, classes),
            *_os_environ(module),
            *_calls(sources, module),
            *_of_getters(sources, module, getters),
        ]
        read += found
        for setting in found:
            form = data_form(setting.name, (setting.prefix, *module.path.with_suffix("").parts), services)
            form = form or url_form(setting.name, examples.get(setting.name) or setting.default, services)
            data |= {setting.name: form} if form and setting.name not in GIVEN else {}
    mine = [
        setting
        for setting in read
        if setting.name not in {*data, *GIVEN, "ENVIRONMENT"} and not names.is_reserved_variable(setting.name)
    ]
    required = {setting.name for setting in mine if setting.is_required}
    secrets = {setting.name for setting in mine if setting.is_secret or SECRET.search(setting.name)}
    if services.external:  # the URL of a database elsewhere has its password
        secrets |= {
            setting.name
            for setting in mine
            if URL.search(setting.name) and (setting.is_required or STORE.search(setting.name))
        }
    unset = {setting.name for setting in mine if setting.may_be_missing and setting.name in secrets - required}
    known = {setting.name for setting in mine if setting.default and KNOWN.search(setting.name)}
    stage = [setting for setting in mine if STAGE.fullmatch(setting.name)]
    development = {setting.name for setting in stage if DEVELOPMENT.fullmatch(setting.default)}
    known_stage = next((word for word in ("production", "prod") if _has_text(modules, word)), "")
    stages_of_host = dict.fromkeys(development, known_stage) if known_stage else {}
    stages = allowed_environments(sources, modules, classes)
    has_database_name = any(is_database(name, form) for name, form in data.items()) or any(
        setting.name in {"DATABASE_URL", "PGHOST"} for setting in read
    )
    return Environment(
        data=dict(sorted(data.items())),
        secrets=tuple(sorted(required & secrets)),
        settings={name: examples.get(name) or usual_value(name) for name in sorted(required - secrets)}
        | stages_of_host,
        unset_secrets=tuple(sorted(unset)),
        known_secrets=tuple(sorted(known - required)),
        development=tuple(sorted(development - stages_of_host.keys())),
        has_database_name=has_database_name,
        finds_database=has_database_name
        or any(re.search(r"\b(DATABASE_URL|PGHOST)\b", module.text, re.IGNORECASE) for module in sources.modules),
        production_name=named_environment(stages, "production", "production"),
        staging_name=named_environment(stages, "staging", named_environment(stages, "production", "staging")),
        reads_credentials=any("CREDENTIALS_DIRECTORY" in module.text for module in modules),
        needs_tcp=services.by_port
        or any("{host}" in form or "{port}" in form for form in data.values())
        or any(not setting.takes_socket for setting in read if setting.name in {*data, *GIVEN}),
    )


def _has_text(modules: list[Module], text: str) -> bool:
    """Tell whether the code has a text, as `if environment == "production"` does."""
    nodes = (node for module in modules if text in module.text for node in ast.walk(module.tree))
    return any(isinstance(node, ast.Constant) and node.value == text for node in nodes)


def _settings_classes(sources: Sources) -> dict[Origin, Options]:
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


def _fields(sources: Sources, module: Module, classes: dict[Origin, Options]) -> Iterator[Setting]:
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
            default = _text(field.value)
            yield Setting(
                name, is_needed, "Secret" in kind, prefix=prefix, default=default, takes_socket=not PORT.search(kind)
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


def _text(value: ast.expr | None) -> str:
    """Return the text that a default is, also in `Field("x")`, `Field(default="x")` and `SecretStr("x")`."""
    if isinstance(value, ast.Constant):
        return value.value if isinstance(value.value, str) else ""
    if isinstance(value, ast.Attribute):  # a member of an enumeration
        return value.attr if DEVELOPMENT.fullmatch(value.attr) else ""
    if isinstance(value, ast.Call) and (_is_field(value) or "Secret" in ast.unparse(value.func)):
        named = {keyword.arg: keyword.value for keyword in value.keywords}
        return _text(value.args[0] if value.args else named.get("default"))
    return ""


def _field(field: ast.AnnAssign, *, is_first_version: bool) -> tuple[str, bool]:
    """Return the alias of a setting, empty if there is none, and whether it has no default that is always the same."""
    annotated = [each for each in ast.walk(field.annotation) if _is_field(each)]
    value = field.value or next(iter(annotated), None)
    if value is None:
        return "", True
    if isinstance(value, ast.Constant):
        return "", value.value is Ellipsis
    if not (isinstance(value, ast.Call) and _is_field(value)):
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


def _is_field(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Field")


def _os_environ(module: Module) -> Iterator[Setting]:
    nodes = list(ast.walk(module.tree))
    # `if "A" in os.environ: use(os.environ["A"])` starts without A, and so does a module that sets A itself.
    optional = {name for node in nodes if (name := _may_miss(module, node))}
    # So does one in which only a function ends without it; a module that raises does not.
    bound = {
        target.id: name
        for node in module.statements()
        if isinstance(node, ast.Assign) and (name := _may_miss(module, node.value))
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    demanded = {
        name
        for node in module.statements()
        if isinstance(node, ast.If) and any(isinstance(each, ast.Raise) for each in node.body)
        for inner in ast.walk(node.test)
        if (name := bound.get(inner.id, "") if isinstance(inner, ast.Name) else _may_miss(module, inner))
    }
    for node in nodes:
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and (name := _key(module, node)):
            yield Setting(name, is_required=name not in optional - demanded, may_be_missing=True)
        elif isinstance(node, ast.Call) and module.resolve(node.func) in GETTERS and (name := _may_miss(module, node)):
            default = _text(node.args[1]) if len(node.args) > 1 else ""
            yield Setting(name, name in demanded, may_be_missing=len(node.args) == 1, default=default)


def _key(module: Module, node: ast.Subscript) -> str:
    is_environ = module.resolve(node.value) == "os.environ" and isinstance(node.slice, ast.Constant)
    return str(ast.literal_eval(node.slice)) if is_environ else ""


def _may_miss(module: Module, node: ast.AST) -> str:
    """Return the name of a variable that an expression asks for or sets, and that need not be there for it."""
    name: ast.expr | None = None
    if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        return _key(module, node)
    if isinstance(node, ast.Call) and module.resolve(node.func) in {*GETTERS, "os.environ.setdefault"}:
        name = next(iter(node.args), None)
    elif isinstance(node, ast.Compare) and module.resolve(node.comparators[0]) == "os.environ":
        name = node.left
    return str(name.value) if isinstance(name, ast.Constant) else ""


def _calls(sources: Sources, module: Module) -> Iterator[Setting]:
    """Yield what starlette's Config, decouple and environs read. All three fail for a name without a default."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
            continue
        method = isinstance(node.func, ast.Attribute) and "environs" in module.text
        reader = node.func.value if isinstance(node.func, ast.Attribute) and method else node.func
        if re.fullmatch(r"[A-Za-z_]\w*", str(node.args[0].value)) and _reads(sources, module, reader):
            keywords = {keyword.arg: keyword.value for keyword in node.keywords}
            has_default = "default" in keywords or len(node.args) > (2 if "starlette" in module.text else 1)
            is_secret = "Secret" in ast.unparse(keywords["cast"]) if "cast" in keywords else False
            default = _text(keywords.get("default") or (node.args[-1] if len(node.args) > 1 else None))
            yield Setting(str(node.args[0].value), not has_default, is_secret, default=default)


def _reads(sources: Sources, module: Module, node: ast.expr) -> bool:
    if module.resolve(node) == "decouple.config":
        return True
    path, name = sources.origin(module, node) or (None, "")
    there = sources.by_path.get(path) if path else None
    return there is not None and any(
        isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.Call)
        and READERS.fullmatch(there.resolve(statement.value.func)) is not None
        and any(isinstance(target, ast.Name) and target.id == name for target in statement.targets)
        for statement in there.statements()
    )


def _getters(modules: list[Module]) -> dict[Origin, bool]:
    """Return the app's own functions that read the variable of their first parameter, and whether each insists on it.

    Insisting is to fail without the variable, for which the default is the only parameter that may be left out.
    """
    found: dict[Origin, bool] = {}
    for module in modules:
        for node in module.statements():
            if not isinstance(node, ast.FunctionDef) or not node.args.args:
                continue
            inner = list(ast.walk(node))
            looked_up = [
                each.args[0]
                for each in inner
                if isinstance(each, ast.Call) and each.args and module.resolve(each.func) in GETTERS
            ]
            taken = [
                each.slice
                for each in inner
                if isinstance(each, ast.Subscript) and module.resolve(each.value) == "os.environ"
            ]
            if node.args.args[0].arg in {each.id for each in (*looked_up, *taken) if isinstance(each, ast.Name)}:
                fails = bool(taken) or any(isinstance(each, ast.Raise) for each in inner)
                found[module.path, node.name] = fails and len(node.args.defaults) <= 1
    return found


def _of_getters(sources: Sources, module: Module, getters: dict[Origin, bool]) -> Iterator[Setting]:
    for node in ast.walk(module.tree) if getters else ():
        if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
            continue
        origin = sources.origin(module, node.func)
        if origin in getters and re.fullmatch(r"[A-Z_][A-Z0-9_]*", str(node.args[0].value)):
            given = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
            default = next((each for each in given if isinstance(each, ast.Constant)), None)
            is_required = getters[origin] and not any(isinstance(each, ast.Constant | ast.List) for each in given)
            yield Setting(str(node.args[0].value), is_required, may_be_missing=not given, default=_text(default))
