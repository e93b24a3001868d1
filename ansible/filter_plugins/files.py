"""Filters that read files of the repository and place them on a host, for the module managed_files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any


def contents(paths: Iterable[str], folder: str) -> dict[str, str]:
    """Read files: each path relative to `folder`, with the text.

    Raises:
        ValueError: a path is outside of `folder`.
        OSError: a file cannot be read.
    """
    return {str(Path(path).relative_to(folder)): Path(path).read_text(encoding="utf-8") for path in paths}


def below(files: Mapping[str, str], folder: str) -> dict[str, str]:
    """Move all paths below a folder."""
    return {f"{folder}/{path}": text for path, text in files.items()}


def as_files(files: Mapping[str, str]) -> list[dict[str, str]]:
    """Turn paths and texts into the option `files` of managed_files."""
    return [{"path": path, "content": text} for path, text in files.items()]


class FilterModule:
    """The interface that Ansible expects in a file of filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        return {"contents": contents, "below": below, "as_files": as_files}
