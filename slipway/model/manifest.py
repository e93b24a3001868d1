"""The manifest of a release: the document that the controller sends before its files."""

import json
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, Self, get_type_hints

from slipway.model import PROTOCOL, names
from slipway.model.errors import UsageError
from slipway.model.image import DEFAULT_PORT, Image, is_port
from slipway.model.writable import check_writable

IMAGE_KEYS = {"id": "image", "name": "image_name"}
"""The image's facts stand beside the others in the JSON document, two of them under these keys."""


@dataclass(frozen=True)
class Manifest:
    """An image, and how this environment runs it.

    Raises:
        UsageError: the image has no command, a name would not be one in the start scripts, or PORT is no port.
    """

    image: Image
    procfile: dict[str, str] = field(default_factory=dict)
    """Commands of the processes, by name; `release` runs the migrations."""
    jobs: dict[str, str] = field(default_factory=dict)
    """Commands that timers run, by name."""
    settings: dict[str, str] = field(default_factory=dict)
    """The environment's settings that are not secret; they win over the image's environment."""
    secrets_as_environment: list[str] = field(default_factory=list)
    """Secrets that become environment variables, by name."""
    writable: list[str] = field(default_factory=list)
    """Folders of the image that the units bind to ones that are kept (app_writable)."""
    bytes: int = 0
    inodes: int = 0
    """What the release takes on the disk."""
    by: str = ""
    """Who ships it."""

    def __post_init__(self) -> None:
        if not self.image.command:
            raise UsageError("the image has no command: give its Dockerfile a CMD or an ENTRYPOINT")
        _check_names(
            names.VARIABLE, (*self.settings, *self.secrets_as_environment), "a variable", "letters, digits and _"
        )
        _check_names(names.PROCESS, self.procfile, "a process", "letters, digits, - and _")
        _check_names(names.JOB, self.jobs, "a job", "letters, digits and _")
        check_writable(self.writable)
        port = self.settings.get("PORT")
        if port is not None and not is_port(port):
            raise UsageError(f"the setting PORT is {port!r}: it must be a number from 1 to 65535, the app's port")
        for name in self.procfile:
            if name in names.SCRIPTS:
                raise UsageError(f"{name!r} is Slipway's own name: call that process of the Procfile something else")

    @property
    def ports(self) -> list[int]:
        """Ports on which the app may listen by itself, the best first: that of a setting PORT, then the image's."""
        ports = self.image.ports or [DEFAULT_PORT]
        if "PORT" not in self.settings:
            return ports
        chosen = int(self.settings["PORT"])
        return [chosen, *(port for port in ports if port != chosen)]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a manifest as `to_json` made it.

        Raises:
            UsageError: it is not JSON, a field is unknown, missing or of the wrong type, or a name is not allowed.
        """
        try:
            document = json.loads(text)
            if not isinstance(document, dict):
                raise TypeError("it is not a JSON object")
            values = {key: value for key, value in document.items() if key != "protocol"}
            image = _take(Image, values, IMAGE_KEYS)
            rest = _take(cls, values, {}, without=["image"])
            if values:
                raise ValueError(f"unknown field {', '.join(map(repr, sorted(values)))} (protocol {PROTOCOL})")
            return cls(image=Image(**image), **rest)
        except (ValueError, TypeError) as error:
            raise UsageError(f"the manifest on standard input cannot be read: {error}") from None

    def to_json(self) -> dict[str, Any]:
        """The document that `parse` reads, and that engines of the protocol before this one read as well."""
        values = asdict(self)
        image = {IMAGE_KEYS.get(key, key): value for key, value in values.pop("image").items()}
        return {"protocol": PROTOCOL} | image | values


def _take(model: type, values: dict[str, Any], keys: dict[str, str], without: Iterable[str] = ()) -> dict[str, Any]:
    """Take the fields of a dataclass out of a JSON object, checking their types."""
    kinds = get_type_hints(model)
    taken = {}
    for each in fields(model):
        if each.name in without:
            continue
        key = keys.get(each.name, each.name)
        value = values.pop(key, None)
        # Docker says null where an image has nothing.
        if value is None:
            if each.default is MISSING and each.default_factory is MISSING:
                raise ValueError(f"{key} is missing")
        elif not _is(value, kinds[each.name]):
            raise ValueError(f"{key} is {value!r}")
        else:
            taken[each.name] = value
    return taken


def _is(value: Any, kind: Any) -> bool:
    """Whether a JSON value has the type of its field."""
    if kind == list[int]:
        return isinstance(value, list) and all(type(each) is int and 0 < each < 65536 for each in value)
    if kind == list[str]:
        return isinstance(value, list) and all(_is(each, str) for each in value)
    if kind == dict[str, str]:
        return isinstance(value, dict) and all(_is(each, str) for each in value.values())
    # A NUL can be in no file name, argument or variable.
    return isinstance(value, kind) and not (isinstance(value, str) and "\0" in value)


def _check_names(pattern: Any, given: Iterable[str], kind: str, allowed: str) -> None:
    for name in given:
        if not pattern.fullmatch(name):
            raise UsageError(f"{name!r} cannot be the name of {kind}: use {allowed}")
