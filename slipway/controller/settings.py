"""The settings of an environment: reading settings.env, and the names that it must not set."""

from pathlib import Path

from dotenv.parser import parse_stream

from slipway.model import names
from slipway.model.errors import SlipwayError


class SettingsError(SlipwayError):
    """A settings file that cannot be used; the message names the line, the rule and what to do."""


def read_settings(path: Path) -> dict[str, str]:
    """Read an env file as python-dotenv understands it, without interpolation.

    Raises:
        SettingsError: the file is missing or a line in it is not usable.
    """
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
    if not names.VARIABLE.fullmatch(name):
        raise SettingsError(
            f"{where}: {name!r} is not the name of an environment variable: letters, digits and underscores, "
            "no digit first. Rename it."
        )
    if names.is_reserved_variable(name):
        raise SettingsError(
            f"{where}: {name} is set by the unit that runs the app and cannot be a setting "
            f"(nor can {', '.join(sorted(names.RESERVED_VARIABLES))} or {names.RESERVED_PREFIX}*). Remove the line."
        )
    if "\0" in value:
        raise SettingsError(f"{where}: the value of {name} has a NUL byte in it. Remove it.")
