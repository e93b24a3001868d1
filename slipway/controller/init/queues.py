"""The workers and schedulers of task queues, as the code that defines the tasks shows them."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from slipway.controller.init.packages import Packages
from slipway.controller.init.sources import ASIDE, Module, Sources

CELERY = ("celery", "celery[redis]", "celery[librabbitmq]")
ARQ = ("arq",)
TASKIQ = ("taskiq", "taskiq-redis", "taskiq-fastapi")
DRAMATIQ = ("dramatiq", "dramatiq[redis]")
RQ_URL = ("RQ_REDIS_URL", "{redis_url}")
"""Where the commands of RQ find the broker, whatever the app's own setting is called."""
SCRIPTED = re.compile(
    r"rq(\.\w+)*\.\w*Worker|saq(\.worker)?\.Worker|temporalio\.worker\.Worker|apscheduler\.schedulers\.blocking\.\w+"
)
"""What a script of the app's own runs until it is told to stop."""


@dataclass(frozen=True)
class Process:
    """A line of the Procfile that app_processes names."""

    name: str
    command: str
    is_single: bool = False
    data: tuple[tuple[str, str], ...] = ()
    """Names by which the program finds the app's data, and the form of each in app_data_environment."""

    @property
    def is_scheduler(self) -> bool:
        """Whether it only sends tasks, and so needs no connection of the database."""
        return self.name in SINGLE


SINGLE = {"beat", "scheduler", "clock", "cron"}
"""Names of processes that send what is due: two of them would send it twice."""


def find_processes(sources: Sources, packages: Packages, root: PurePosixPath) -> tuple[Process, ...]:
    """Return the workers and schedulers of task queues, none if the app has no object of one.

    Args:
        sources: the repository's Python files.
        packages: what the app requires.
        root: the folder that the app is imported from, relative to the repository.
    """
    code = _Code(
        [
            module
            for module in sources.modules
            if module.path.is_relative_to(root) and not any(part in ASIDE for part in module.path.parts)
        ],
        root,
        packages,
    )
    found = [process for names, find in QUEUES.items() if packages.has(*names) for process in find(code)]
    scripts = [process for process in _scripts(code) if process.name not in {each.name for each in found}]
    return tuple({process.name: process for process in reversed(found + scripts)}.values())[::-1]


@dataclass(frozen=True)
class _Code:
    """The app's modules, and the folder that these are imported from."""

    modules: list[Module]
    root: PurePosixPath
    packages: Packages

    def has(self, text: str) -> bool:
        return any(re.search(text, module.text) for module in self.modules)

    def dotted(self, module: Module) -> str:
        return ".".join(module.path.relative_to(self.root).with_suffix("").parts).removesuffix(".__init__")

    def objects(self, kind: str) -> Iterator[str]:
        """Yield the module-level objects of a class, also where methods follow its call: `shop.tasks:broker`."""
        for module in self.modules:
            for statement in module.statements():
                value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
                target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", 0)
                while (
                    isinstance(value, ast.Call)
                    and isinstance(value.func, ast.Attribute)
                    and isinstance(value.func.value, ast.Call)
                ):
                    value = value.func.value
                if isinstance(value, ast.Call) and isinstance(target, ast.Name):
                    declared = (
                        statement.annotation if isinstance(statement, ast.AnnAssign) else _returned(module, value)
                    )
                    if any(re.fullmatch(kind, module.resolve(each)) for each in (value.func, declared) if each):
                        yield f"{self.dotted(module)}:{target.id}"

    def calls(self, kind: str) -> Iterator[ast.Call]:
        """Yield the calls of a class or function."""
        for module in self.modules:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Call) and re.fullmatch(kind, module.resolve(node.func)):
                    yield node


def _celery(code: _Code) -> Iterator[Process]:
    app = next(code.objects(r"celery(\.app)?\.Celery"), "")
    if app:
        yield Process("worker", f"exec celery --app {app} worker --without-gossip --without-mingle")
        if code.has(r"beat_schedule|crontab\(|add_periodic_task"):
            beat = f'exec celery --app {app} beat --schedule "$STATE_DIRECTORY/beat"'
            yield Process("beat", beat, is_single=True)


def _arq(code: _Code) -> Iterator[Process]:
    for module in code.modules:
        for node in module.statements():
            # A class of any name that says which functions it runs.
            if isinstance(node, ast.ClassDef) and any(
                target in {"functions", "cron_jobs"} for inner in node.body for target in _bound(inner)
            ):
                yield Process("worker", f"exec arq {code.dotted(module)}.{node.name}")
                return


def _taskiq(code: _Code) -> Iterator[Process]:
    for name, program, kind in (
        ("worker", "worker", r"taskiq.*Broker"),
        ("scheduler", "scheduler", r"taskiq.*Scheduler"),
    ):
        for found in list(code.objects(kind))[:1]:
            options = " --workers 1" if name == "worker" else ""
            yield Process(name, f"exec taskiq {program} {found} --fs-discover{options}", is_single=name in SINGLE)


def _dramatiq(code: _Code) -> Iterator[Process]:
    marked = [module for module in code.modules if re.search(r"^@(\w+\.)*actor\b", module.text, re.MULTILINE)]
    actors = " ".join(map(code.dotted, marked))
    if actors:
        yield Process("worker", f"exec dramatiq {actors} --processes 1")
    if actors and code.packages.has("periodiq"):
        yield Process("scheduler", f"exec periodiq {actors}", is_single=True)


def _rq(code: _Code) -> Iterator[Process]:
    queues = list(code.calls(r"rq(\.queue)?\.Queue"))
    has_script = any(code.calls(r"rq(\.\w+)*\.\w*Worker"))
    if queues and not has_script:
        given = [call.args[:1] + [each.value for each in call.keywords if each.arg == "name"] for call in queues]
        texts = [each[0].value for each in given if each and isinstance(each[0], ast.Constant)]
        names = " ".join(dict.fromkeys(str(text) for text in texts)) or "default"
        scheduled = " --with-scheduler" if code.has(r"\benqueue_(in|at)\(") else ""
        yield Process("worker", f"exec rq worker {names}{scheduled}", data=(RQ_URL,))
    if any(code.calls(r"rq_scheduler(\.scheduler)?\.Scheduler")):
        yield Process("scheduler", "exec rqscheduler", is_single=True, data=(RQ_URL,))


def _saq(code: _Code) -> Iterator[Process]:
    for module in code.modules:
        for statement in module.statements():
            value = getattr(statement, "value", None)
            keys = {key.value for key in getattr(value, "keys", []) if isinstance(key, ast.Constant)}
            keys |= {keyword.arg for keyword in getattr(value, "keywords", [])}
            for name in _bound(statement) if {"queue", "functions"} <= keys else ():
                yield Process("worker", f"exec saq {code.dotted(module)}.{name}")


def _huey(code: _Code) -> Iterator[Process]:
    for found in list(code.objects(r"huey(\.\w+)*\.\w*Huey"))[:1]:
        place, _, name = found.partition(":")
        # The consumer knows the tasks of the module that it is told, and of what that imports.
        marked = [module for module in code.modules if re.search(rf"^@{name}\.\w*task\(", module.text, re.MULTILINE)]
        place = next(map(code.dotted, marked), place)
        periodic = code.has(r"\bperiodic_task\(")
        yield Process("worker", f"exec huey_consumer {place}.{name}", is_single=periodic)


def _procrastinate(code: _Code) -> Iterator[Process]:
    for found in list(code.objects(r"procrastinate(\.app)?\.App"))[:1]:
        yield Process("worker", f"exec procrastinate --app={found.replace(':', '.')} worker")


def _faststream(code: _Code) -> Iterator[Process]:
    for found in list(code.objects(r"faststream(\.\w+)*\.FastStream"))[:1]:
        yield Process("consumer", f"exec faststream run {found}")


def _scripts(code: _Code) -> Iterator[Process]:
    """Yield the modules that Python is told to run, and that run a worker or a scheduler."""
    for module in code.modules:
        is_script = any(isinstance(node, ast.If) and "__name__" in ast.unparse(node.test) for node in module.tree.body)
        calls = (node for node in ast.walk(module.tree) if isinstance(node, ast.Call) and is_script)
        kind = next((name for call in calls if SCRIPTED.fullmatch(name := module.resolve(call.func))), "")
        if kind:
            name = "scheduler" if "apscheduler" in kind else "worker"
            yield Process(name, f"exec python -m {code.dotted(module)}", is_single=name in SINGLE)


QUEUES: dict[tuple[str, ...], Callable[[_Code], Iterator[Process]]] = {
    CELERY: _celery,
    ARQ: _arq,
    TASKIQ: _taskiq,
    DRAMATIQ: _dramatiq,
    ("rq", "rq-scheduler"): _rq,
    ("saq", "saq[redis]", "saq[postgres]", "saq[hiredis]"): _saq,
    ("huey", "huey[redis]"): _huey,
    ("procrastinate",): _procrastinate,
    ("faststream", *(f"faststream[{kind}]" for kind in ("redis", "kafka", "confluent", "rabbit", "nats"))): _faststream,
}
"""Packages whose tasks a process of its own runs, and what finds that process."""


def _bound(statement: ast.stmt) -> list[str]:
    """Return the names that an assignment binds."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _returned(module: Module, call: ast.Call) -> ast.expr | None:
    """Return what a function of the same module says that it returns."""
    functions = (node for node in module.statements() if isinstance(node, ast.FunctionDef))
    return next((node.returns for node in functions if node.name == ast.unparse(call.func)), None)
