"""The documentation stays short: a new paragraph replaces an old one."""

import re
from pathlib import Path

import pytest

from tests.docs.conftest import GENERATED, PAGES, ROOT, label

README_WORDS = 700
PAGE_WORDS = 1500
ALL_WORDS = 18_000
KINDS = {"getting-started", "how-to", "reference", "explanation", "measurements"}


def words(text: str) -> int:
    """The number of words, as `wc -w` counts them without the bars and lines of tables."""
    return len(re.sub(r"\||-{3,}", " ", text).split())


def test_the_readme_is_short_and_has_one_picture() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.split()) <= README_WORDS, f"{len(text.split())} words"
    assert (text.count("!["), text.count("```mermaid")) == (1, 0)


def test_all_pages_together_are_short() -> None:
    written = [
        ROOT / "README.md",
        *(page for page in PAGES if page.is_relative_to(ROOT / "docs") and page != GENERATED),
    ]
    lengths = {label(page): words(page.read_text()) for page in written}
    assert sum(lengths.values()) <= ALL_WORDS, sorted(lengths.items(), key=lambda item: -item[1])
    assert max(lengths.values()) <= PAGE_WORDS, sorted(lengths.items(), key=lambda item: -item[1])


def test_each_page_is_of_one_kind() -> None:
    pages = [page.relative_to(ROOT / "docs") for page in PAGES if page.is_relative_to(ROOT / "docs")]
    assert {page.parts[0] for page in pages if len(page.parts) == 2} == KINDS
    assert [str(page) for page in pages if len(page.parts) != 2] == ["README.md"]


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_a_page_begins_with_its_title(page: Path) -> None:
    assert page.read_text().startswith("# ")
