"""The check of words: what it finds, what it leaves alone, and that files only get cleaner."""

import sys
import tomllib
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from types import ModuleType
from typing import Any

import pytest

from tools.checkout import ROOT


def load() -> ModuleType:
    loader = SourceFileLoader("lint_words", str(ROOT / "tools/lint-words"))
    spec = spec_from_loader("lint_words", loader)
    assert spec
    module = module_from_spec(spec)
    sys.modules["lint_words"] = module
    loader.exec_module(module)
    return module


words: Any = load()
RULES = words.read_rules(tomllib.loads((ROOT / "tools/lint-words.toml").read_text()))


def found(file: str, content: str) -> list[str]:
    return [finding.word.lower() for finding in words.check(file, content, RULES)]


def task(name: str) -> str:
    return f"- name: {name}\n  ansible.builtin.command: /bin/true\n"


@pytest.mark.parametrize(
    "name",
    [
        "serve | Let it happen",
        "serve | Ask whether it did",
        "install | Put them in place",
        "users | Create the one who deploys",
        "certificate | Make it",
        "Make what shows clients who it is",
        "Remove the units of what is wanted no more",
        "Say which hosts were left out",
        "serve | Open the ports anew",
        "batch | Start on the others",
        "Deploy those",
        "Take it back",
        "Start the app for whoever needs the app",
    ],
)
def test_a_name_that_does_not_stand_alone(name: str) -> None:
    assert found("ansible/roles/app/tasks/main.yml", task(name))


@pytest.mark.parametrize(
    "name",
    [
        "serve | Reload nginx",
        "Verify that nginx loaded the new configuration",
        "Look up the certificate and its key",
        "Activate the release on one host",
        "batch | Start the activation on the other hosts",
        "jobs | Stop single processes on the other hosts",
        '"Get the release status: {{ item }}"',
    ],
)
def test_a_name_that_stands_alone(name: str) -> None:
    assert not found("ansible/roles/app/tasks/main.yml", task(name))


def test_names_of_plays_blocks_handlers_and_steps() -> None:
    assert found("ansible/site.yml", "- name: Check it\n  hosts: app\n")
    assert found("a.yml", "- name: Undo\n  block:\n    - name: Undo it\n      app_units: {}\n") == ["it"]
    assert found(".github/workflows/ci.yml", "jobs:\n  a:\n    steps:\n      - name: Tell it\n        run: x\n")


def test_names_that_are_data_are_left_alone() -> None:
    assert not found("ansible/group_vars/all.yml", "app_processes:\n  - name: ask-it\n    count: 2\nname: it\n")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.py", "# Whoever deploys.\n"),
        ("a.py", "x = 1  # asked for\n"),
        ("a.py", '"""What was said."""\n'),
        ("a.py", 'class A:\n    x: int\n    """Seconds, said systemd."""\n'),
        ("a.yml", "a: b # opened anew\n"),
        ("a.j2", "// A job that is wanted no more.\n"),
        ("a.service", "# The one that mends.\n"),
        ("docs/a.md", "nginx deals by turns\n"),
        ("tools/script", "#!/bin/sh\n# strangers\n"),
    ],
)
def test_comments_docstrings_and_pages(file: str, content: str) -> None:
    assert found(file, content)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.py", 'said = "asked"\n'),
        ("a.py", '# The old name is `asked`, and curl printed "said".\n'),
        ("a.py", "# Recommended: see https://example.com/asked/said\n"),
        ("docs/a.md", "```\nasked\n```\n"),
        ("docs/a.md", "There are no more than two, and one that listens. It reads, no more.\n"),
        ("a.yml", "asked: said\n"),
    ],
)
def test_code_quotations_and_addresses_are_left_alone(file: str, content: str) -> None:
    assert not found(file, content)


def test_an_exception_needs_a_reason() -> None:
    assert not found("a.py", "# The auditors asked. words: ok people did\n")
    assert not found("a.py", "# words: ok people did\n# The auditors asked.\n")
    assert not found("a.md", "The auditors asked. <!-- words: ok people did -->\n")
    assert found("a.py", "# words: ok\n# The auditors asked.\n") == ["words: ok"]
    assert found("a.py", "# words: ok people did\n\n# The auditors asked.\n") == ["asked"]


def test_each_finding_has_its_place_and_reason() -> None:
    finding = words.check("a.py", "\n# Whoever.\n", RULES)[0]
    assert str(finding) == "a.py:2: `Whoever`: name the user or the process"


@pytest.mark.parametrize(
    ("count", "allowed", "wrong", "hints"),
    [
        (1, 0, ["a.py:1"], []),
        (2, 1, ["a.py:1", "a.py:2", "2 findings, 1 before"], []),
        (1, 1, [], []),
        (1, 2, [], ["fewer findings"]),
        (0, 1, ["a.py is clean or gone"], []),
    ],
)
def test_a_file_may_only_get_cleaner(count: int, allowed: int, wrong: list[str], hints: list[str]) -> None:
    findings = words.check("a.py", "# asked\n" * count, RULES)
    result = words.compare({"a.py": findings}, {"a.py": allowed} if allowed else {})
    for texts, expected in zip(result, (wrong, hints), strict=True):
        assert len(texts) == len(expected)
        assert all(part in text for text, part in zip(texts, expected, strict=True))


def test_shrinking_never_raises_a_number() -> None:
    text = '# rules\n[unclean]\n"a.py" = 1\n"b.py" = 3\n"c.py" = 1\n'
    now = {"a.py": words.check("a.py", "# asked\n# said\n", RULES), "b.py": words.check("b.py", "# asked\n", RULES)}
    unclean = tomllib.loads(text)["unclean"]
    assert words.shrink(text, now, unclean) == '# rules\n[unclean]\n"a.py" = 1\n"b.py" = 1\n'


def test_every_task_of_the_tree_has_a_name_that_stands_alone() -> None:
    names_only = [rule for rule in RULES if "names" in rule.scopes]
    names = []
    for path in sorted((ROOT / "ansible").rglob("*.yml")):
        if not path.is_symlink():
            lines = [text for _, scope, text in words.texts(path.name, path.read_text()) if scope == "names"]
            names += [
                name for name in lines if any(rule.pattern.search(words.QUOTED.sub("", name)) for rule in names_only)
            ]
    assert names == []
