"""What will not work as it is, each with what to type."""

import os
from collections.abc import Iterator

from slipway.controller.init.findings import Findings
from slipway.controller.init.manager import Manager
from slipway.controller.init.packages import Packages
from slipway.controller.init.queues import QUEUES
from slipway.controller.init.render import size_in_words
from slipway.controller.init.requirements import SETUP

ADD = {"poetry": "poetry add", "pdm": "pdm add", "pipenv": "pipenv install"}
REDIS = ("redis", "celery[redis]", "valkey")
LOCK = {"uv": "uv lock", "poetry": "poetry lock", "pdm": "pdm lock", "pipenv": "pipenv lock"}


def advise(findings: Findings, left_alone: list[str], ignored: list[str]) -> Iterator[str]:
    """Yield the warnings about a repository, the most severe of a subject first.

    Args:
        findings: the repository.
        left_alone: files that are there with another content.
        ignored: files that git would not commit.
    """
    yield from _of_apps(findings)
    yield from (_of_others_dockerfile if findings.has_own_dockerfile else _of_dockerfile)(findings)
    yield from _of_environment(findings)
    yield from _of_data(findings)
    yield from _of_processes(findings)
    if findings.services.clients and not findings.services.external:
        yield "app_egress: internet, since the app calls other services. `none` keeps it from reaching any"
    if left_alone:
        yield f"left alone, though different from what would be written: {', '.join(left_alone)}"
    if ignored:
        yield f"git ignores {', '.join(ignored)}, which others and CI need. Type: git add --force {' '.join(ignored)}"


def _of_apps(findings: Findings) -> Iterator[str]:
    beside = [app for app in findings.others if not app.file.is_relative_to(findings.workdir)]
    if beside:
        folders = ", ".join(dict.fromkeys(str(app.file.parent) for app in beside))
        yield f"one app is deployed from here, not those in {folders}. For another one: slipway init in its own folder"
    others = ", ".join(str(app) for app in findings.others if app not in beside)
    if others:
        yield (
            f"not deployed: {others}. To choose another app, name it in pyproject.toml, below [tool.fastapi]: "
            f'entrypoint = "{findings.target}"'
        )


def _of_dockerfile(findings: Findings) -> Iterator[str]:
    packages = findings.packages
    uses_pip, file = packages.manager is Manager.PIP, packages.declaring
    if findings.server is None:
        type_it = _add(packages, "uvicorn")
        if packages.names or file not in SETUP:
            yield f"no package of the app is a server, so the image cannot start. {type_it}"
        else:
            yield f"which packages the app needs is not known without running its code. If none is uvicorn: {type_it}"
    if not packages.lock:
        frozen = file if uses_pip else "requirements.txt" if file in SETUP else ""
        freeze = f"pip freeze > {frozen}, in the app's environment"
        lock = freeze if frozen else LOCK.get(packages.manager, "uv lock")
        yield f"nothing pins the versions of the dependencies, so each build may get others. Type: {lock}"
    if packages.outside:
        yield (
            f"dependencies outside of {findings.base}: {', '.join(packages.outside)}. Docker does not see these: build "
            "from a folder above (release_context)"
        )
    if packages.indexes:
        yield (
            f"packages come from {', '.join(packages.indexes)}. If that wants a password, `docker build` does not have "
            "it: name a command that builds the image in release_build"
        )
    if not findings.is_python_allowed:
        yield f"no image has the Python that the project requires: the Dockerfile has {findings.python}"
    for name, size in findings.context.large:
        yield f"{name} ({size_in_words(size)}) is left out of the image. If the app reads it: !/{name} in .dockerignore"

    if findings.unbuilt:
        yield (
            f"the app serves {', '.join(findings.unbuilt)}, which is not in the repository, and does not start so. "
            "If npm builds that: let a stage of the Dockerfile do so, and COPY --from= it"
        )


def _add(packages: Packages, name: str) -> str:
    """Return what to type for another dependency."""
    file = packages.declaring
    if file in SETUP:
        return f"Write {name} into install_requires of {file}"
    if packages.manager is Manager.PIP:
        return f"Type: echo {name} >> {file}"
    return f"Type: {ADD.get(packages.manager, 'uv add')} {name}"


def _of_others_dockerfile(findings: Findings) -> Iterator[str]:
    if not findings.dockerfile:
        return
    path = findings.dockerfile.path
    if findings.start.command:
        yield (
            f"the command of {path} is not what a host runs: {findings.start.reason}. app_command in "
            f"deploy/<environment>/group_vars/all.yml starts the server: {findings.start.command}"
        )
    if findings.migrates_in_build:
        yield f"{path} migrates while the image is built, when no database is there. Take that line out"


def _of_environment(findings: Findings) -> Iterator[str]:
    environment = findings.environment
    missing = [name for name, value in environment.settings.items() if not value]
    if missing:
        yield f"the app needs {', '.join(missing)}: set a value in deploy/<environment>/settings.env"
    if environment.secrets:
        named = ", ".join(environment.secrets)
        yield f"the app needs secret values for {named}: see deploy/production/secrets.example.yml"
    if environment.unset_secrets:
        yield (
            f"the app may need {', '.join(environment.unset_secrets)}, read without a default: name those it needs "
            "in app_secrets_as_environment, and their values in secrets.yml, below app_secrets"
        )
    if environment.development:
        named = ", ".join(environment.development)
        yield f"the code is for development by the default of {named}: set a value in deploy/<environment>/settings.env"
    if environment.known_secrets:
        yield (
            f"the code has a default for {', '.join(environment.known_secrets)}, which everybody may read there. Name "
            "those it needs in app_secrets_as_environment, and values of your own in secrets.yml, below app_secrets"
        )
    if not findings.is_ready_path_sure:
        yield (
            f"app_ready_path is a guess, {findings.ready_path}: no path is known that answers 2xx. Set it in "
            "deploy/<environment>/group_vars/all.yml"
        )


def _of_data(findings: Findings) -> Iterator[str]:
    fixed = {address.service: address for address in reversed(findings.addresses)}
    database, broker = fixed.get("PostgreSQL"), fixed.get("Redis")
    if database and findings.services.postgres and not findings.environment.has_database_name:
        yield (
            f"line {database.line} of {database.file} says where PostgreSQL is, which is elsewhere on a host. "
            'Write there: os.environ["DATABASE_URL"]'
        )
    elif findings.services.postgres and not findings.environment.finds_database:
        yield (
            "which setting has PostgreSQL's address is not known: nothing reads DATABASE_URL or another usual name. "
            'With the app\'s own name for it, in group_vars/all.yml: app_data_environment: {NAME: "{database_url}"}'
        )
    if broker and findings.services.broker and not broker.is_here:
        yield (
            f"line {broker.line} of {broker.file} connects to a service of Compose, which no host knows. Write there: "
            'redis.from_url(os.environ["REDIS_URL"]), and in group_vars/all.yml: app_data_environment: '
            '{REDIS_URL: "{redis_url}"}'
        )
    if findings.migrations and findings.has_procfile_without_release:
        yield f"the Procfile runs no migrations before a release. Add a line: release: {findings.migrations}"
    elif findings.migrations and findings.preparation:
        script = os.path.relpath(findings.preparation, findings.workdir)
        yield (
            f"{findings.preparation} does more than migrate, `release:` of the Procfile does not. If a release needs "
            f"the rest, and the image has the script: release: bash {script}"
        )
    if findings.creates_tables:
        yield (
            f"{findings.creates_tables} creates tables, which on a host only `release:` of the Procfile may, not the "
            "app when it starts. Add a line with the command that creates them, as `release: python -m your_module`"
        )
    if findings.creates_by_sql:
        yield (
            f"{findings.creates_by_sql} creates tables, as the Procfile's `release:` now does. Take that out of "
            "the app's start: a host's PostgreSQL refuses CREATE TABLE IF NOT EXISTS even where the table is there"
        )
    if findings.files_beside_code:
        yield (
            f"the app writes {', '.join(findings.files_beside_code)} beside its code, where a host does not let it. "
            'Put that into the folder os.environ.get("STATE_DIRECTORY", ".")'
        )


def _of_processes(findings: Findings) -> Iterator[str]:
    queue = next((names[0] for names in QUEUES if findings.packages.has(*names)), "")
    if queue and not findings.processes:
        yield f"no worker of {queue} was found. If there is one: a line of the Procfile, and its name in app_processes"
    if findings.packages.has("celery") and findings.services.broker and not findings.packages.has(*REDIS):
        add = _add(findings.packages, "redis")
        yield f"no package of the app speaks to Slipway's broker, as redis does. If Celery has no other broker: {add}"
    for process in findings.processes:
        if not process.command.startswith("exec "):
            yield f"{process.name} in the Procfile has to begin with exec, to be told to stop: exec {process.command}"
    if findings.packages.has("apscheduler") and not any(process.is_scheduler for process in findings.processes):
        yield (
            "APScheduler in the web server runs in each of its workers, and twice during a deploy. Once only: a "
            "process of its own in the Procfile, `single` in app_processes"
        )
