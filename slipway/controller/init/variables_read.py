"""The settings that code reads by a call: os.environ, starlette, decouple, environs, and functions of the app's own."""

import ast
import re
from collections.abc import Iterator

from slipway.controller.init.setting import Setting, text_of
from slipway.controller.init.sources import Module, Origin, Sources

GETTERS = {"os.environ.get", "os.getenv"}
READERS = re.compile(r"(starlette\.config\.Config|decouple\.(Auto)?Config|environs\.Env)")
"""Classes whose objects read a setting by a call: `config("NAME")`, `env.str("NAME")`."""


def variables(sources: Sources, module: Module, getters: dict[Origin, bool]) -> Iterator[Setting]:
    """Yield what a module reads. `getters`: of the app, as `getters` finds them."""
    yield from _os_environ(module)
    yield from _calls(sources, module)
    yield from _of_getters(sources, module, getters)


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
    numbers = {
        each
        for node in nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"int", "float", "bool"}
        for each in node.args
    }
    for node in nodes:
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and (name := _key(module, node)):
            is_required = name not in optional - demanded
            yield Setting(name, is_required, may_be_missing=True, is_number=node in numbers)
        elif isinstance(node, ast.Call) and module.resolve(node.func) in GETTERS and (name := _may_miss(module, node)):
            default = text_of(node.args[1]) if len(node.args) > 1 else ""
            yield Setting(
                name,
                name in demanded,
                may_be_missing=len(node.args) == 1,
                default=default,
                is_number=node in numbers,
            )


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
            default = text_of(keywords.get("default") or (node.args[-1] if len(node.args) > 1 else None))
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


def getters(modules: list[Module]) -> dict[Origin, bool]:
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
            yield Setting(str(node.args[0].value), is_required, may_be_missing=not given, default=text_of(default))
