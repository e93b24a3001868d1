"""The settings of an environment: what stands in settings.env, and what may not stand there."""

from __future__ import annotations

import re
from pathlib import Path

# Names that the unit sets for the app. A setting with such a name would win over the unit in the start script and
# break what the name is for, so it is refused instead of dropped.
RESERVED_NAMES = frozenset(
    {
        "APP_PRELOAD",
        "CREDENTIALS_DIRECTORY",
        "FORWARDED_ALLOW_IPS",
        "GUNICORN_CMD_ARGS",
        "HOME",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "LISTEN_FDNAMES",
        "LISTEN_FDS",
        "LISTEN_PID",
        "MEMORY_MAX",
        "NOTIFY_SOCKET",
        "STATE_DIRECTORY",
        "TMPDIR",
        "WEB_CONCURRENCY",
        "WORKLOAD",
    }
)
RESERVED_PREFIX = "SLIPWAY_"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class SettingsError(ValueError):
    """A settings file that cannot be used; the text says which line, why, and what to do."""


def is_reserved(name: str) -> bool:
    """Whether the unit owns the environment variable `name`."""
    return name in RESERVED_NAMES or name.startswith(RESERVED_PREFIX)


def read_settings(path: Path) -> dict[str, str]:
    """Read an env file as python-dotenv understands it, without interpolation.

    Raises:
        SettingsError: the file is missing or a line in it is not usable.
    """
    # Imported here: only the controller needs it, and only where there is a settings file.
    from dotenv.parser import parse_stream

    if not path.is_file():
        raise SettingsError(f"{path} does not exist. Create it (it may be empty), or correct release_settings_file.")
    settings: dict[str, str] = {}
    with path.open(encoding="utf-8") as stream:
        for binding in parse_stream(stream):
            where = f"{path}, line {binding.original.line}"
            if binding.error:
                raise SettingsError(f"{where}: not NAME=value: {binding.original.string.strip()!r}. Correct this line.")
            if binding.key is None:
                continue
            _check(binding.key, binding.value, where)
            if binding.key in settings:
                raise SettingsError(f"{where}: {binding.key} is set a second time. Remove one of the two lines.")
            settings[binding.key] = binding.value or ""
    return settings


def _check(name: str, value: str | None, where: str) -> None:
    if value is None:
        raise SettingsError(f"{where}: {name} has no value. Write {name}= for an empty one.")
    if not _NAME.match(name):
        raise SettingsError(
            f"{where}: {name!r} is not the name of an environment variable: letters, digits and underscores, "
            "no digit first. Rename it."
        )
    if is_reserved(name):
        raise SettingsError(
            f"{where}: {name} is set by the unit that runs the app and cannot be a setting "
            f"(nor can {', '.join(sorted(RESERVED_NAMES))} or {RESERVED_PREFIX}*). Remove the line."
        )
    if "\0" in value:
        raise SettingsError(f"{where}: the value of {name} has a NUL byte in it. Remove it.")
