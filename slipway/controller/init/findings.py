"""Everything that is found in a repository, and the answers to what is not."""

import ast
import os
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from slipway.controller.init import existing, health, text
from slipway.controller.init.addresses import Address, written_addresses
from slipway.controller.init.application import (
    App,
    calls_of_servers,
    factories_with_arguments,
    find_apps,
    from_command,
    from_entrypoint,
    made_by,
    starting_modules,
)
from slipway.controller.init.ci import find_tests
from slipway.controller.init.composed import Composed, composed_healthchecks, composed_processes
from slipway.controller.init.context import Context, find_context
from slipway.controller.init.dockerfile import Instructions
from slipway.controller.init.environment import Environment, find_environment
from slipway.controller.init.migrations import find_migrations
from slipway.controller.init.packages import Packages, find_packages
from slipway.controller.init.processes import has_release, joined, of_procfile, started_by
from slipway.controller.init.python import is_allowed, python_version
from slipway.controller.init.questions import Ask, Question, Site, answer, find_site, recorded
from slipway.controller.init.queues import Process, find_processes
from slipway.controller.init.routes import Routes
from slipway.controller.init.served import served_folders
from slipway.controller.init.server import Server, command, find_server
from slipway.controller.init.services import Services, find_services
from slipway.controller.init.sources import Sources
from slipway.controller.init.start import Start, find_start
from slipway.controller.init.system_packages import system_packages
from slipway.controller.init.tables import find_tables
from slipway.controller.init.writes import find_writes
from slipway.model.errors import SlipwayError

CONDA = ("environment.yml", "environment.yaml", "conda.yml")


class InitError(SlipwayError):
    """A repository that no files can be written for; the message says what is missing and what to type."""


@dataclass(frozen=True)
class Findings:
    """A repository as `slipway init` sees it. Paths are relative to it."""

    folder: Path
    app: App
    target: str
    """The app as a server names it: `shop.main:app`."""
    root: PurePosixPath
    """The folder that the app is imported from."""
    packages: Packages
    python: str
    server: Server | None
    command: str
    migrations: str
    """The command that brings the database up to date."""
    has_procfile_without_release: bool
    """One that somebody wrote, which does not run that command."""
    tests: str
    """The command that runs its tests; empty if there are none, or it is not known."""
    processes: tuple[Process, ...]
    services: Services
    runtime_packages: tuple[str, ...]
    """Debian's packages that the image needs."""
    build_packages: tuple[str, ...]
    """Those of the stage that installs the dependencies."""
    environment: Environment
    ready_path: str
    is_ready_path_sure: bool
    """The app answers it, as far as its code can be read."""
    has_version_path: bool
    dockerfile: existing.Dockerfile | None
    """One that somebody wrote."""
    context: Context
    site: Site
    creates_tables: str
    """The file that creates PostgreSQL's tables, by no command that is known; empty without one."""
    creates_by_sql: str
    """The file that does so by SQL of its own, with a command that is known; empty without one."""
    stage: str
    """The stage of the Dockerfile that Compose builds, if it is not the last; empty otherwise."""
    copies_procfile: bool
    """The Dockerfile takes the Procfile into the image."""
    addresses: tuple[Address, ...]
    """Where the code says itself to which database or broker it connects."""
    start: Start
    """How the Dockerfile's image is started on a host."""
    migrates_in_build: bool
    """The Dockerfile migrates a database while the image is built."""
    preparation: PurePosixPath | None
    """A script that migrates and then fills the database."""
    is_python_allowed: bool
    """The project may run with `python`."""
    unbuilt: tuple[str, ...]
    """Folders that the app serves and that are not there."""
    writable: tuple[str, ...]
    """Folders of the image that the app writes."""
    files_beside_code: tuple[str, ...]
    """Files that the app writes where it is started."""
    others: tuple[App, ...]
    """More apps, which are not deployed."""

    @property
    def base(self) -> PurePosixPath:
        """The folder of the app's dependencies, which is also what its image is built from."""
        return self.packages.folder

    @property
    def has_own_dockerfile(self) -> bool:
        """Whether somebody else wrote the Dockerfile."""
        return self.dockerfile is not None and not existing.is_written_here(self.folder / self.dockerfile.path)

    @property
    def added_procfile(self) -> str:
        """The Procfile that somebody else's Dockerfile does not copy into the image; empty if there is none."""
        is_needed = self.has_own_dockerfile and not self.copies_procfile
        return str(self.workdir / "Procfile") if is_needed and (self.migrations or self.processes) else ""

    @property
    def workdir(self) -> PurePosixPath:
        """The folder that the app is started in."""
        return self.packages.folder / self.packages.workdir


def find(folder: Path, ask: Ask | None) -> Findings:
    """Look at a repository, without running any of its code.

    Args:
        folder: the repository, or the folder of one app in it.
        ask: puts a question to a person; None takes the defaults.

    Raises:
        InitError: there is no app, or nothing that declares its dependencies.
    """
    sources = Sources.read(folder)
    app, others = _choose(sources, ask)
    packages = find_packages(folder, app.file)
    if packages is None:
        conda = next((name for name in CONDA if (folder / name).exists()), "")
        raise InitError(
            f"{app.file} has an app, and nothing at or above it in {folder} declares its dependencies for PyPI: there "
            "is no uv.lock, poetry.lock, pdm.lock, Pipfile, requirements.txt, setup.py or `dependencies` in a "
            f"pyproject.toml{f', and {conda} is for conda' if conda else ''}. In the app's environment type: "
            f"{'pip list --format=freeze' if conda else 'pip freeze'} > requirements.txt"
        )
    module = sources.by_path[app.file]
    if sources.imports_itself(module, packages.folder):
        packages = packages.from_above()
    base, workdir = packages.folder, packages.folder / packages.workdir
    root = sources.import_root(module, workdir, app.root)
    target = f"{app.module(root)}:{app.name}"
    places = [workdir, *workdir.parents]
    composed = Composed.read(folder, places)
    dockerfile = existing.find_dockerfile(folder, places, composed.dockerfiles(folder, app.file))
    instructions = Instructions.parse(text.read(folder / dockerfile.path) if dockerfile else "")
    stage = (composed.stage(folder / dockerfile.path) if dockerfile else "") or instructions.production()
    context = folder / (dockerfile.context if dockerfile else base)
    recipe = folder / dockerfile.path if dockerfile else None
    commands = existing.commands(folder, places)
    python = python_version(folder, packages)
    server = find_server(packages, commands)
    services = find_services(packages)
    runtime_packages, build_packages = system_packages(folder, packages)
    chosen = str(recorded(folder / "deploy/production")[0].get("app_ready_path") or "")
    paths = Routes.read(sources).answered(app.file)
    checks = f"{instructions.healthcheck}\n{composed_healthchecks(composed, context, recipe)}"
    ready = chosen or health.find_ready_path(paths) or health.checked_path(checks)
    migrations = find_migrations(folder, packages, root, commands)
    if root != workdir and instructions.is_workdir(PurePosixPath(os.path.relpath(folder / root, context)), stage):
        migrations = migrations.removeprefix(f"cd {root.relative_to(workdir)} && ")
    own = sources.below(workdir)
    tables = find_tables(own, app, root) if services.postgres and not migrations else None
    default = health.default_path(sources, app, paths)
    procfile = folder / workdir / "Procfile"
    writes, served = find_writes(own, workdir), served_folders(own)
    # None, if the Dockerfile leaves that to the image that it is built on.
    place = instructions.workdir(stage) if dockerfile else PurePosixPath("/app", packages.workdir)
    own_command = command(server or Server.UVICORN, target, packages, is_factory=app.is_factory)
    start = find_start(context, instructions, stage, composed.services, own_command) if dockerfile else Start()
    processes = (
        of_procfile(text.read(procfile))
        if procfile.is_file()
        else joined(
            find_processes(sources, packages, root),
            (*composed_processes(composed, context, recipe, sources, instructions.started(stage)[0]), *start.processes),
        )
    )
    if runner := instructions.runner(stage):
        processes = tuple(replace(each, command=started_by(runner, each.command)) for each in processes)
        migrations = started_by(runner, migrations)
    given = composed.environment(context, recipe)
    environment = find_environment(sources, services, workdir, packages.local, given)
    return Findings(
        folder=folder,
        app=app,
        target=target,
        root=root,
        packages=packages,
        python=python,
        server=server,
        command=own_command,
        migrations=migrations or (tables.command if tables else ""),
        has_procfile_without_release=procfile.is_file() and not has_release(text.read(procfile)),
        tests=find_tests(folder, sources, packages, python),
        processes=processes,
        services=services,
        runtime_packages=runtime_packages,
        build_packages=build_packages,
        environment=replace(
            environment, data=environment.data | dict(pair for each in processes for pair in each.data)
        ),
        ready_path=ready or answer(ask, Question("A path that answers 2xx when the app can serve", default)),
        is_ready_path_sure=bool(ready) or default != "/" or "/" in paths,
        has_version_path="/version" in paths,
        dockerfile=dockerfile,
        context=find_context(
            folder / base,
            [app.file.relative_to(base), *(packages.workdir / path / "x" for path in served)],
            packages.files,
        ),
        unbuilt=tuple(
            str(path) for path in served if not (folder / workdir / path).is_dir() and path not in writes.folders
        ),
        site=find_site(folder / "deploy/production", ask),
        creates_tables=str(tables.file) if tables and not tables.command else "",
        creates_by_sql=str(tables.file) if tables and tables.command and tables.is_by_sql else "",
        stage=stage,
        copies_procfile=instructions.has(PurePosixPath(os.path.relpath(procfile, context)), stage),
        addresses=written_addresses(own, composed.services),
        start=start,
        migrates_in_build=instructions.migrates,
        preparation=existing.find_preparation(folder, workdir, starting_modules(own)),
        is_python_allowed=is_allowed(folder, packages, python),
        writable=tuple(str(place / path) for path in writes.folders) if place else (),
        files_beside_code=writes.files if not services.postgres else (),
        others=others,
    )


def _no_app(sources: Sources, aside: list[App]) -> str:
    """Return why there is no app to deploy, and what to type."""
    factories = [app for app in factories_with_arguments(sources) if not app.is_aside]
    but = ""
    if aside:
        but = f" (but for tests and examples: {', '.join(str(app) for app in aside[:3])})"
    elif factories:
        name, file = factories[0].name, factories[0].file
        but = f" ({name} in {file} needs arguments: write a module with app = {name}(...))"
    return (
        f"No app in {sources.folder}: none of its {len(sources.modules)} Python files has one that a server can "
        f"import, as app = FastAPI(), or a function without arguments that returns one{but}. Go to the app's own "
        'folder, or name the app in pyproject.toml, below [tool.fastapi]: entrypoint = "package.module:app"'
    )


def _choose(sources: Sources, ask: Ask | None) -> tuple[App, tuple[App, ...]]:
    folder = sources.folder
    found = find_apps(sources)
    apps = [app for app in found if not app.is_aside]
    files = apps or [App(module.path, "") for module in sources.modules]
    places = sorted({place for app in files for place in app.file.parents}, key=lambda place: len(place.parts))
    projects = (text.read(folder / place / "pyproject.toml") for place in places or [PurePosixPath()])
    declared = (app for project in projects if (app := from_entrypoint(project, sources, found)))
    commands = f"{existing.commands(folder, places)}\n{calls_of_servers(sources)}"
    app = next(declared, None) or from_command(commands, sources, apps)
    if app is None and not apps:
        raise InitError(_no_app(sources, found))
    if app is None:
        names = tuple(str(each) for each in apps)
        chosen = answer(ask, Question("The app to deploy", names[0], names)) if len(apps) > 1 else names[0]
        app = apps[names.index(chosen)] if chosen in names else apps[0]
    same = {(app.file, app.name), sources.origin(sources.by_path[app.file], ast.Name(app.name))}
    same |= made_by(sources, app)
    return app, tuple(each for each in apps if (each.file, each.name) not in same)
