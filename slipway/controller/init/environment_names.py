"""What an app calls production and staging in its setting ENVIRONMENT."""

import ast
from collections.abc import Collection, Iterator

from slipway.controller.init.sources import Module, Origin, Sources


def allowed_environments(sources: Sources, modules: list[Module], classes: Collection[Origin]) -> list[str]:
    """Return the texts that a setting ENVIRONMENT may have: those of its Literal or of its enumeration."""
    for module in modules:
        settings = (node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef))
        fields = (field for node in settings if (module.path, node.name) in classes for field in node.body)
        for field in fields:
            if isinstance(field, ast.AnnAssign) and ast.unparse(field.target).upper() == "ENVIRONMENT":
                values = [field.annotation, *_members(sources, module, field.annotation)]
                texts = (each.value for value in values for each in ast.walk(value) if isinstance(each, ast.Constant))
                return [text for text in texts if isinstance(text, str)]
    return []


def _members(sources: Sources, module: Module, annotation: ast.expr) -> Iterator[ast.expr]:
    """Yield the values of the enumerations of the repository that an annotation names."""
    for name in (node for node in ast.walk(annotation) if isinstance(node, ast.Name)):
        path, kind = sources.origin(module, name) or (None, "")
        there = sources.by_path.get(path) if path else None
        for statement in there.statements() if there else ():
            if isinstance(statement, ast.ClassDef) and statement.name == kind:
                is_enum = any("Enum" in ast.unparse(base) for base in statement.bases)
                yield from (node.value for node in statement.body if is_enum and isinstance(node, ast.Assign))


def named_environment(stages: list[str], stage: str, otherwise: str) -> str:
    """Return which of the allowed texts means a stage: the same, else one that begins alike."""
    alike = [name for name in stages if name.lower().startswith(stage[:4])]
    return stage if stage in stages else next(iter(alike), otherwise)
