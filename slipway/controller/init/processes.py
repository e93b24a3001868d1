"""Other processes of the app: the workers and schedulers of Celery, arq, taskiq and dramatiq."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from slipway.controller.init.packages import Packages
from slipway.controller.init.sources import ASIDE, Module, Sources


@dataclass(frozen=True)
class Process:
    """A line of the Procfile that app_processes names."""

    name: str
    command: str
    is_single: bool = False

    @property
    def is_scheduler(self) -> bool:
        """Whether it only sends tasks, and so needs no connection of the database."""
        return self.name in SINGLE


CELERY = ("celery", "celery[redis]", "celery[librabbitmq]")
ARQ = ("arq",)
TASKIQ = ("taskiq", "taskiq-redis", "taskiq-fastapi")
DRAMATIQ = ("dramatiq", "dramatiq[redis]")
QUEUES = (*CELERY, *ARQ, *TASKIQ, *DRAMATIQ, "rq", "saq", "huey", "procrastinate")
"""Packages whose tasks a process of its own runs."""
SINGLE = {"beat", "scheduler", "clock", "cron"}
"""Names of processes that send what is due: two of them would send it twice."""
SCHEDULES = re.compile(r"\b(beat|scheduler|rqscheduler)\b")
"""In the command of such a process."""
QUEUED = re.compile(r"\s(-Q|--queues?)\b")


def of_procfile(text: str) -> tuple[Process, ...]:
    """Return the processes that a Procfile names besides the web server's and what runs before a release."""
    lines = re.findall(r"^([A-Za-z0-9_-]+):\s*(.+)$", text, re.MULTILINE)
    return tuple(
        Process(name, command.strip(), is_single=name in SINGLE)
        for name, command in lines
        if name not in {"release", "web"}
    )


def has_release(text: str) -> bool:
    """Tell whether a Procfile has a command that runs before a release."""
    return re.search(r"^release:\s*\S", text, re.MULTILINE) is not None


def joined(found: tuple[Process, ...], composed: tuple[Process, ...]) -> tuple[Process, ...]:
    """Return the processes that the code shows, with Compose's scheduler if that is not among these; else Compose's.

    Workers that Compose gives queues come before one that knows the default queue alone.
    """
    if any(QUEUED.search(process.command) for process in composed):
        found = tuple(process for process in found if process.is_scheduler)
        composed = composed if not found else tuple(each for each in composed if not SCHEDULES.search(each.command))
        return found + composed
    if not found or any(process.is_single for process in found):
        return found or composed
    return found + tuple(process for process in composed if SCHEDULES.search(process.command))


def find_processes(sources: Sources, packages: Packages, root: PurePosixPath) -> tuple[Process, ...]:
    """Return the workers and schedulers of task queues, none if the app has no object of one.

    Args:
        sources: the repository's Python files.
        packages: what the app requires.
        root: the folder that the app is imported from, relative to the repository.
    """
    modules = [
        module
        for module in sources.modules
        if module.path.is_relative_to(root) and not any(part in ASIDE for part in module.path.parts)
    ]
    for names, find in ((CELERY, _celery), (ARQ, _arq), (TASKIQ, _taskiq), (DRAMATIQ, _dramatiq)):
        if packages.has(*names) and (found := find(modules, root)):
            return found
    return ()


def _celery(modules: list[Module], root: PurePosixPath) -> tuple[Process, ...]:
    app = next(_objects(modules, root, r"celery(\.app)?\.Celery"), "")
    if not app:
        return ()
    worker = Process("worker", f"exec celery --app {app} worker --without-gossip --without-mingle")
    if any("beat_schedule" in module.text or "crontab(" in module.text for module in modules):
        beat = f'exec celery --app {app} beat --schedule "$STATE_DIRECTORY/beat"'
        return worker, Process("beat", beat, is_single=True)
    return (worker,)


def _arq(modules: list[Module], root: PurePosixPath) -> tuple[Process, ...]:
    for module in modules:
        for node in module.statements():
            # A class of any name that says which functions it runs.
            if isinstance(node, ast.ClassDef) and any(
                isinstance(inner, ast.Assign) and ast.unparse(inner.targets[0]) in {"functions", "cron_jobs"}
                for inner in node.body
            ):
                return (Process("worker", f"exec arq {_dotted(module, root)}.{node.name}"),)
    return ()


def _taskiq(modules: list[Module], root: PurePosixPath) -> tuple[Process, ...]:
    broker = next(_objects(modules, root, r"taskiq.*Broker"), "")
    scheduler = next(_objects(modules, root, r"taskiq.*Scheduler"), "")
    worker = Process("worker", f"exec taskiq worker {broker} --fs-discover --workers 1")
    single = Process("scheduler", f"exec taskiq scheduler {scheduler} --fs-discover", is_single=True)
    return tuple(process for process, found in ((worker, broker), (single, scheduler)) if found)


def _dramatiq(modules: list[Module], root: PurePosixPath) -> tuple[Process, ...]:
    actors = [_dotted(module, root) for module in modules if re.search(r"^@(\w+\.)?actor\b", module.text, re.MULTILINE)]
    return (Process("worker", f"exec dramatiq {' '.join(actors)} --processes 1"),) if actors else ()


def _objects(modules: list[Module], root: PurePosixPath, kind: str) -> Iterator[str]:
    """Yield the module-level objects of a class, also where methods follow its call: `shop.tasks:broker`."""
    for module in modules:
        for statement in module.statements():
            value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
            target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
            while (
                isinstance(value, ast.Call)
                and isinstance(value.func, ast.Attribute)
                and isinstance(value.func.value, ast.Call)
            ):
                value = value.func.value
            if isinstance(value, ast.Call) and isinstance(target, ast.Name):
                declared = statement.annotation if isinstance(statement, ast.AnnAssign) else _returned(module, value)
                if any(re.fullmatch(kind, module.resolve(each)) for each in (value.func, declared) if each):
                    yield f"{_dotted(module, root)}:{target.id}"


def _returned(module: Module, call: ast.Call) -> ast.expr | None:
    """Return what a function of the same module says that it returns."""
    functions = (node for node in module.statements() if isinstance(node, ast.FunctionDef))
    return next((node.returns for node in functions if node.name == ast.unparse(call.func)), None)


def _dotted(module: Module, root: PurePosixPath) -> str:
    return ".".join(module.path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
