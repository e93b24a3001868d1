"""What an app calls production and staging in its setting ENVIRONMENT."""

import ast
from collections.abc import Collection

from slipway.controller.init.sources import Module, Origin, Sources


def allowed_stages(sources: Sources, modules: list[Module], classes: Collection[Origin]) -> list[str]:
    """Return the texts that a setting ENVIRONMENT may have: those of its Literal or of its enumeration."""
    for module in modules:
        for node in ast.walk(module.tree):
            for field in node.body if isinstance(node, ast.ClassDef) and (module.path, node.name) in classes else ():
                if isinstance(field, ast.AnnAssign) and ast.unparse(field.target).upper() == "ENVIRONMENT":
                    within: list[ast.AST] = [field.annotation]
                    for name in (each for each in ast.walk(field.annotation) if isinstance(each, ast.Name)):
                        path, kind = sources.origin(module, name) or (None, "")
                        there = sources.by_path.get(path) if path else None
                        within += [
                            each.value if isinstance(each, ast.Assign) else each
                            for statement in (there.statements() if there else ())
                            if getattr(statement, "name", "") == kind and "Enum" in ast.unparse(statement)
                            for each in getattr(statement, "body", ())
                        ]
                    texts = (each for part in within for each in ast.walk(part) if isinstance(each, ast.Constant))
                    return [each.value for each in texts if isinstance(each.value, str)]
    return []


def named_stage(stages: list[str], stage: str, otherwise: str) -> str:
    """Return which of the allowed texts means a stage: the same, else one that begins alike."""
    alike = [name for name in stages if name.lower().startswith(stage[:4])]
    return stage if stage in stages else next(iter(alike), otherwise)
