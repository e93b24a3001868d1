"""The settings and secrets that the app reads from its environment."""

import ast
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from slipway.controller.init.data_names import data_form, is_database, url_form
from slipway.controller.init.environment_names import allowed_environments, named_environment
from slipway.controller.init.examples import example_values, usual_value
from slipway.controller.init.pydantic_settings import fields, settings_classes
from slipway.controller.init.services import Services
from slipway.controller.init.setting import DEVELOPMENT, Setting
from slipway.controller.init.sources import ASIDE, Module, Sources
from slipway.controller.init.variables_read import getters, variables
from slipway.model import names

SECRET = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_?KEY|_KEY$|_DSN$")
ABOUT_SECRETS = re.compile(
    r"(^|_)(MAX|MIN|NUM|TOTAL)_(\w+_)?TOKENS?$|"
    r"_(ALGORITHM|AUDIENCE|BUDGET|COUNT|COST|DAYS|DIR|ENABLED|ENDPOINT|EXPIR\w*|FILE|HEADER|HOURS|ISSUER|LENGTH|LIFETIME|LIMIT|LOCATION|"
    r"MINUTES|NAME|PATH|PREFIX|ROUNDS|SCHEME|SECONDS|TTL|TYPE|URI|URL)$"
)
"""Names that have the word and are no secret: MAX_TOKENS, TOKEN_URL, PRIVATE_KEY_PATH."""
URL = re.compile(r"(URL|URI|DSN|CONNECTION_?STRING)$")
STORE = re.compile(r"MONGO|MYSQL|MARIADB|DATABASE|^DB_")
GIVEN = {
    "BROKER_URL", "DATABASE_CONNECTIONS", "DATABASE_URL", "PGDATABASE", "PGHOST", "PGPASSWORD", "PGPORT", "PGUSER",
    "PORT",
}  # fmt: skip
"""Set by Slipway under these names."""


KNOWN = re.compile(r"(SECRET(_\w*KEY)?|PASSWORD|PASSWD|ENCRYPTION_KEY|SIGNING_KEY)$")
"""Secrets whose default in the code must not be production's."""
STAGE = re.compile(r"(.*_)?(ENV|ENVIRONMENT|STAGE|MODE|PROFILE)(_NAME)?")
"""Settings that say where the app runs: another one's `local` is a folder, or a cache."""


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
    classes = settings_classes(sources)
    own = getters(modules)
    examples = (given or {}) | example_values(sources.folder, base, modules)
    for module in modules:
        found = [*fields(sources, module, classes), *variables(sources, module, own)]
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
    secrets = {setting.name for setting in mine if _is_secret(setting)}
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


def _is_secret(setting: Setting) -> bool:
    """Tell by its type, or else by its name."""
    is_about = setting.is_number or ABOUT_SECRETS.search(setting.name)
    return setting.is_secret or (not is_about and SECRET.search(setting.name) is not None)


def _has_text(modules: list[Module], text: str) -> bool:
    """Tell whether the code has a text, as `if environment == "production"` does."""
    nodes = (node for module in modules if text in module.text for node in ast.walk(module.tree))
    return any(isinstance(node, ast.Constant) and node.value == text for node in nodes)
