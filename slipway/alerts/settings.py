"""Who is told: the variable `alerts_to`. URLs and passwords are secrets, so no error repeats a value of theirs."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from slipway.model.errors import SlipwayError

WEBHOOKS = ("slack", "ntfy", "discord", "json")
MAIL = "mail"
HEARTBEAT = "heartbeat"
"""Gets no alerts: its URL is fetched as long as the site works, and a service outside tells when that ends."""
KINDS = (*WEBHOOKS, HEARTBEAT, MAIL)
SCHEMES = dict.fromkeys(KINDS, ("https", "http")) | {MAIL: ("smtp", "smtps")}
LOCAL_MAIL = "smtp://127.0.0.1:25"
"""The host's own mail server."""
KEYS = {kind: {"kind", "url", "token"} for kind in KINDS} | {MAIL: {"kind", "url", "to", "from", "user", "password"}}
ADDRESS = re.compile(r"[^@\s,<>\"]+@[^@\s,<>\"]+")


@dataclass(frozen=True)
class Receiver:
    """One that is told."""

    kind: str
    url: str = field(repr=False)
    token: str = field(default="", repr=False)
    """Sent as a bearer token."""
    to: str = ""
    sender: str = ""
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Self:
        """Read an entry of alerts_to that `refusals` has nothing against."""
        named = {"sender" if name == "from" else name: str(value) for name, value in values.items()}
        return cls(**{"url": LOCAL_MAIL} | named)


@dataclass(frozen=True)
class Settings:
    """What provisioning wrote."""

    receivers: tuple[Receiver, ...]
    https_port: int | None = None
    """Where nginx serves a certificate that nobody renews here (nginx_tls: files)."""
    others: dict[str, str] = field(default_factory=dict)
    """The addresses of the other app hosts, by name."""
    is_app: bool = True
    """False: a data host of its own."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the settings.

        Raises:
            SlipwayError: the file is missing or damaged.
        """
        try:
            values = json.loads(path.read_text())
            others = {str(name): str(address) for name, address in values.get("others", {}).items()}
            return cls(
                tuple(map(Receiver.parse, values["to"])), values.get("https_port"), others, values.get("is_app", True)
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SlipwayError(
                f"the alerts' settings are damaged ({type(error).__name__}). Type: slipway provision <environment>"
            ) from None


def refusals(receivers: Sequence[Any]) -> list[str]:
    """Say what is wrong with alerts_to, by the number of the entry. URLs, tokens and passwords are not repeated."""
    return [f"alerts_to, entry {number}: {text}" for number, each in enumerate(receivers, 1) for text in _of(each)]


def _of(values: Any) -> list[str]:
    if not isinstance(values, dict) or values.get("kind") not in KINDS:
        kind = repr(values.get("kind", "")) if isinstance(values, dict) else "missing"
        return [f"kind is {kind}. Write {{kind: K, url: URL}} with one of {', '.join(KINDS)} for K."]
    kind = str(values["kind"])
    if unknown := sorted(map(str, set(values) - KEYS[kind])):
        return [f"{kind} has no {', '.join(unknown)}; it has {', '.join(sorted(KEYS[kind]))}."]
    if damaged := sorted(name for name, value in values.items() if not _is_line(value)):
        return [f"{', '.join(damaged)} is empty, or not one line of text without spaces at its ends."]
    return [text for text in (_url(kind, values), _mail(kind, values)) if text]


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) == len(value) <= 2000


def _url(kind: str, values: dict[str, str]) -> str:
    schemes = SCHEMES[kind]
    example = f"url: {schemes[0]}://HOST" + (":587" if kind == MAIL else "/...")
    if "url" not in values:
        return "" if kind == MAIL else f"url is missing. Write {example}"
    url = values["url"]
    try:
        parts = urlsplit(url)
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0 and url.isascii() and " " not in url
    except ValueError:
        good = False
    if not good:
        return f"url is no {kind} address. Write {example}, and what is not ASCII as %XX."
    if parts.username or parts.password:
        return f"url has a user or a password. Write them as {'user and password' if kind == MAIL else 'token'}."
    return ""


def _mail(kind: str, values: dict[str, str]) -> str:
    if kind != MAIL:
        return ""
    if "to" not in values:
        return "to is missing. Write to: ops@example.com"
    wrong = [name for name in ("to", "from") if name in values and not ADDRESS.fullmatch(values[name])]
    if wrong:
        return f"{wrong[0]} is {values[wrong[0]]!r}. Write one address, as ops@example.com"
    if ("user" in values) != ("password" in values):
        return "user and password belong together. Write both, or neither."
    return ""
