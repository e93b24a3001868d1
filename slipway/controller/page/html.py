"""Render a page from one of the templates, with the style and script of all pages inside it."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2

HERE = Path(__file__).parent
MISSING = "–"  # noqa: RUF001 -- a dash for the reader


def render(template: Path, **values: Any) -> str:
    """Render a template, which may extend and import those of this folder. Values are escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= FILTERS
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return environment.get_template(template.name).render(style=style, script=script, **values)


def for_script(values: object) -> str:
    """Return values as JSON that may stand in a script element: a "<" could end it."""
    return json.dumps(values, separators=(",", ":")).replace("<", "\\u003c")


def _seconds(value: float | None) -> str:
    return MISSING if value is None else f"{value:.1f} s"


def _milliseconds(value: float | None) -> str:
    return MISSING if value is None else f"{value:,.0f} ms"


def _megabytes(value: float | None) -> str:
    return MISSING if value is None else f"{value / 1e6:.2f} MB"


def gibibytes(value: float) -> str:
    """Return a number of bytes for people."""
    return f"{value / 2**30:.1f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"


def _moment(value: float) -> str:
    return time.strftime("%a %d %b, %H:%M:%S", time.gmtime(value))


FILTERS: dict[str, Callable[..., str]] = {
    "seconds": _seconds,
    "milliseconds": _milliseconds,
    "megabytes": _megabytes,
    "moment": _moment,
}
