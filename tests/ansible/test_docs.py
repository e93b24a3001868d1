"""docs/security.md: what each party cannot do is tried by a test, and that test exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ansible.conftest import ANSIBLE, ROOT

VERIFY = ANSIBLE / "molecule" / "shared" / "verify"
# The names that the page gives to files.
FILES = {
    "boundary": VERIFY / "boundary" / "test_boundary.py",
    "access": VERIFY / "host" / "test_access.py",
    "app": VERIFY / "host" / "test_app.py",
    "nginx": VERIFY / "host" / "test_nginx.py",
    "files": VERIFY / "inside" / "test_inside_files.py",
    "processes": VERIFY / "inside" / "test_inside_processes.py",
    "network": VERIFY / "inside" / "test_inside_network.py",
    "privileges": VERIFY / "inside" / "test_inside_privileges.py",
}
HEAD = re.compile(r"^\| *cannot *\| *tried by *\|$")
REFERENCE = re.compile(r"(?:(\w+): )?`(test_\w+)`")


def claims() -> Iterator[tuple[str, str]]:
    """The rows of the tables "cannot, tried by": what is claimed, and by what it is tried."""
    inside = False
    for line in (ROOT / "docs" / "security.md").read_text().splitlines():
        if HEAD.match(line):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|---"):
            claim, tried = line.strip("|").split("|")
            yield claim.strip(), tried.strip()


def defined_in(file: Path) -> set[str]:
    return set(re.findall(r"^def (test_\w+)\(", file.read_text(), re.MULTILINE))


def test_the_page_has_claims_for_each_party() -> None:
    sections = (ROOT / "docs" / "security.md").read_text().split("\n## ")
    parties = [section for section in sections if section.startswith("Somebody")]
    assert len(parties) == 3
    assert all(any(HEAD.match(line) for line in party.splitlines()) for party in parties)


@pytest.mark.parametrize(("claim", "tried"), list(claims()))
def test_each_claim_is_tried(claim: str, tried: str) -> None:
    found = REFERENCE.findall(tried)
    assert found, f"{claim!r} names no test"
    file = ""
    for named, test in found:
        file = named or file
        assert test in defined_in(FILES[file]), f"{claim!r} names {test}, which is not in {FILES[file]}"


def test_each_accident_is_tried() -> None:
    verify = ANSIBLE / "molecule" / "accidents" / "verify"
    pages = "".join((ROOT / "docs" / page).read_text() for page in ("nginx.md", "crashes.md"))
    named = re.findall(r"`(test_\w+)`", pages)
    there = set().union(*(defined_in(file) for file in verify.glob("*/test_*.py")))
    assert set(named) == there


def test_the_page_names_each_file() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    for name, file in FILES.items():
        assert f'"{name}"' in text, name
        assert file.is_file()
