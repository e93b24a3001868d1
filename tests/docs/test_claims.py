"""What the reference claims of security and failures is tested, and the test exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.conftest import ROOT, scenario

ANSIBLE = ROOT / "ansible"
SECURITY = ROOT / "docs/reference/security.md"
FAILURES = ROOT / "docs/reference/failures.md"
VERIFY = ANSIBLE / "molecule" / "shared" / "verify"
# The names that the page gives to files.
FILES = {
    "boundary": VERIFY / "boundary" / "test_boundary.py",
    "sealed": VERIFY / "boundary" / "test_sealed.py",
    "clean": VERIFY / "clean" / "test_clean.py",
    "access": VERIFY / "host" / "test_access.py",
    "app": VERIFY / "host" / "test_app.py",
    **{name: VERIFY / f"hardening/test_{name}.py" for name in ("firewall", "logins", "ssh")},
    "nginx": VERIFY / "host" / "test_nginx.py",
    "log": VERIFY / "inside" / "test_inside_log.py",
    "files": VERIFY / "inside" / "test_inside_files.py",
    "processes": VERIFY / "inside" / "test_inside_processes.py",
    "network": VERIFY / "inside" / "test_inside_network.py",
    "port": ANSIBLE / "molecule/third_party_images/verify/port/test_port.py",
    "privileges": VERIFY / "inside" / "test_inside_privileges.py",
    "certificates": ANSIBLE / "molecule/resilience/verify/acme/test_acme.py",
    "attacks": VERIFY / "attacks" / "test_attacks.py",
    "backup": ANSIBLE / "molecule/data/verify/backup/test_backup.py",
    "adversary": ROOT / "tests/engine/test_adversary.py",
    "public": ROOT / "tests/app/test_head.py",
    **{
        name: ROOT / f"tests/nginx/test_{name}.py"
        for name in ("logs", "slices", "upgrade", "clients", "answers", "handshakes")
    },
}
HEAD = re.compile(r"^\| *cannot *\| *test *\|$")
REFERENCE = re.compile(r"(?:(\w+): )?`(test_\w+)`")


def claims() -> Iterator[tuple[str, str]]:
    """The rows of the tables "cannot, test": a claim, and the tests that try it."""
    inside = False
    for line in SECURITY.read_text().splitlines():
        if HEAD.match(line):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|---"):
            claim, test = line.strip("|").split("|")
            yield claim.strip(), test.strip()


def defined_in(file: Path) -> set[str]:
    return set(re.findall(r"^def (test_\w+)\(", file.read_text(), re.MULTILINE))


def test_the_page_has_claims_for_each_party() -> None:
    sections = SECURITY.read_text().split("\n## ")
    parties = [section for section in sections if section.startswith("An attacker")]
    assert len(parties) == 4
    assert all(any(HEAD.match(line) for line in party.splitlines()) for party in parties)


@pytest.mark.parametrize(("claim", "tried"), list(claims()))
def test_each_claim_is_tried(claim: str, tried: str) -> None:
    found = REFERENCE.findall(tried)
    assert found, f"{claim!r} names no test"
    file = ""
    for named, test in found:
        file = named or file
        assert test in defined_in(FILES[file]), f"{claim!r} names {test}, which is not in {FILES[file]}"


def test_each_failure_is_tested() -> None:
    verify = [scenario("resilience") / "verify", ANSIBLE / "molecule/shared/verify/restarts"]
    verify += [ROOT / "tests/s3", ROOT / "tests/restore"]
    named = re.findall(r"`(test_\w+)`", FAILURES.read_text())
    there = set().union(*(defined_in(file) for folder in verify for file in folder.rglob("test_*.py")))
    assert set(named) == there


def test_the_page_names_each_file() -> None:
    text = SECURITY.read_text()
    for name, file in FILES.items():
        assert f'"{name}"' in text, name
        assert file.is_file()
