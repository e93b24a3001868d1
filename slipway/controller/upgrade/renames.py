"""Variables that a version renamed, and their new names in an inventory's files.

The places are found by YAML's parser and changed in the text: a library that writes YAML again, even one that keeps
comments, also changes indentation, quotes and long lines.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from slipway.controller.upgrade import UpgradeError
from slipway.controller.upgrade.edit import Edit
from slipway.controller.variables import RENAMED, Renamed

_EXPRESSION = re.compile(r"{{.*?}}|{%.*?%}", re.DOTALL)
_VAULT = "$ANSIBLE_VAULT"


def files(folder: Path) -> list[Path]:
    """Return the files of inventories that hold variables; those below group_vars may have no suffix."""
    found = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return sorted(path for path in found if path.suffix in {".yml", ".yaml", ".json"} or _holds_variables(path, folder))


def _holds_variables(path: Path, folder: Path) -> bool:
    return not path.suffix and bool({"group_vars", "host_vars"} & {*path.relative_to(folder).parts[:-1]})


def is_encrypted(text: str) -> bool:
    """Tell whether a whole file is encrypted: what it sets can be seen by a person with the password alone."""
    return text.startswith(_VAULT)


def edits(text: str, path: Path, renamed: Mapping[str, Renamed] = RENAMED) -> Iterator[Edit]:
    """Yield what to change in a file: names of variables that are set, and in the expressions that read them.

    Raises:
        UpgradeError: the file is no YAML, or sets a variable by both names.
    """
    try:
        nodes = [] if is_encrypted(text) else list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise UpgradeError(f"{path} is no YAML: {error}. Correct it.") from None
    for node in nodes:
        yield from _of_node(node, text, path, renamed)


def _of_node(node: yaml.Node | None, text: str, path: Path, renamed: Mapping[str, Renamed]) -> Iterator[Edit]:
    if isinstance(node, yaml.MappingNode):
        names = {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in renamed:
                new = renamed[key.value].name
                if new in names:
                    raise UpgradeError(
                        f"{path}, line {key.start_mark.line + 1}: {key.value} is now {new}, and {new} is set as well. "
                        "Remove one of the two."
                    )
                yield from _words(key, text, renamed)
            yield from _of_node(value, text, path, renamed)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _of_node(value, text, path, renamed)
    elif isinstance(node, yaml.ScalarNode):
        start = node.start_mark.index
        for expression in _EXPRESSION.finditer(text[start : node.end_mark.index]):
            yield from _words(node, text, renamed, start + expression.start(), start + expression.end())


def _words(
    node: yaml.Node, text: str, renamed: Mapping[str, Renamed], start: int | None = None, end: int | None = None
) -> Iterator[Edit]:
    start = node.start_mark.index if start is None else start
    for word in re.finditer(r"[A-Za-z_]\w*", text[start : node.end_mark.index if end is None else end]):
        if new := renamed.get(word[0]):
            yield Edit(start + word.start(), start + word.end(), new.name, f"{word[0]} is now {new.name}")
