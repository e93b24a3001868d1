"""Links lead somewhere: to a file that is in git and, if they name one, to a heading of it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.conftest import PAGES, ROOT, TRACKED, label, prose

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
MENTION = re.compile(r"(?<![\w/.-])docs/[\w./-]+\.(?:md|png)\b")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(prose(page)))
    return {text.strip().replace(" ", "-") for text in plain}


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in LINK.findall(prose(page)):
            if not target.startswith(("https://", "http://")):
                yield page, target


@pytest.mark.parametrize(
    ("page", "target"), [pytest.param(*each, id=f"{label(each[0])}-{each[1]}") for each in links()]
)
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    assert file.exists(), f"{label(page)} links to {target}: there is no {path}"
    if anchor:
        assert anchor in anchors(file), f"{label(page)} links to {target}: that page has {sorted(anchors(file))}"


def test_each_page_is_in_the_index() -> None:
    index = ROOT / "docs/README.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in LINK.findall(prose(index))}
    pages = {page for page in PAGES if page.is_relative_to(ROOT / "docs")} - {index}
    assert pages == {page for page in linked if page.is_relative_to(ROOT / "docs")}


def test_code_names_pages_that_exist() -> None:
    for name in TRACKED:
        if name.endswith((".png", ".lock", ".md")) or name.startswith(("tests/docs/", "tests/tools/")):
            continue
        for mention in MENTION.findall((ROOT / name).read_text(errors="ignore")):
            assert (ROOT / mention).is_file(), f"{name} names {mention}, which does not exist"
