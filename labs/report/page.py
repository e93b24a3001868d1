"""Write a page from one of the templates of this folder."""

from pathlib import Path
from typing import Any

from slipway.controller.page.html import render

HERE = Path(__file__).parent
PAGE = "index.html"


def write(folder: Path, template: str, **values: Any) -> Path:
    """Render a template into a folder. Returns the page's absolute path."""
    page = folder / PAGE
    page.write_text(render(HERE / template, **values), encoding="utf-8")
    return page.resolve()
