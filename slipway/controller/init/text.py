"""Texts in a repository as their own programs read them: pip, Docker and Python honour a byte order mark."""

import codecs
import tomllib
from pathlib import Path
from typing import Any

MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
"""What Windows' editors and PowerShell's `>` begin a file with, and its encoding."""


def read(path: Path) -> str:
    """Return a file's text with Unix line ends; empty if there is no such file."""
    try:
        data = path.read_bytes()
    except OSError:
        return ""
    encoding = next((encoding for mark, encoding in MARKS if data.startswith(mark)), "utf-8")
    return data.decode(encoding, errors="replace").replace("\r\n", "\n")


def toml(path: Path) -> dict[str, Any]:
    """Return a TOML file's content; empty if there is no such file, or it is broken."""
    try:
        return tomllib.loads(read(path))
    except tomllib.TOMLDecodeError:
        return {}
