"""A name that an app reads from its environment, as it stands in the code."""

import ast
import re
from dataclasses import dataclass

DEVELOPMENT = re.compile(r"dev|develop|development|local", re.IGNORECASE)
"""What a setting of this kind is by default that has to be another on a host."""


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
    is_number: bool = False
    """Its type is a number or a switch."""
    takes_socket: bool = True
    """False: its type is a URL that has no unix socket."""


def text_of(value: ast.expr | None) -> str:
    """Return the text that a default is, also in `Field("x")`, `Field(default="x")` and `SecretStr("x")`."""
    if isinstance(value, ast.Constant):
        return value.value if isinstance(value.value, str) else ""
    if isinstance(value, ast.Attribute):  # a member of an enumeration
        return value.attr if DEVELOPMENT.fullmatch(value.attr) else ""
    if isinstance(value, ast.Call) and (is_field(value) or "Secret" in ast.unparse(value.func)):
        named = {keyword.arg: keyword.value for keyword in value.keywords}
        return text_of(value.args[0] if value.args else named.get("default"))
    return ""


def is_field(node: ast.AST) -> bool:
    """Tell whether an expression is a call of pydantic's Field."""
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Field")
