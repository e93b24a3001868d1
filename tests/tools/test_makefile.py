"""The Makefile: no verb is without a run, and nothing but its command line changes what a verb does."""

import os
import re
import subprocess

import pytest

from tools.checkout import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
VERBS = sorted(set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE)))
VARIABLES = sorted(set(re.findall(r"\$\(([A-Z_]+)\)", MAKEFILE)) - {"MAKE", "CURDIR", "MAKEFILE_LIST"})


def test_every_verb_is_run_by_the_step_verbs() -> None:
    tests = (ROOT / "tests/verbs/test_verbs.py").read_text()
    run = {
        verb for verb in VERBS if f'make("{verb}"' in tests or f'"make", "{verb}"' in tests or f'("{verb}", "' in tests
    }
    assert len(VERBS) > 15
    assert set(VERBS) - run == set()


@pytest.mark.parametrize("verb", ["provision", "deploy", "rollback", "status"])
def test_a_verb_is_the_tools(verb: str) -> None:
    command = ["make", "--dry-run", verb, "ENV=production", "ARGS=--check"]
    printed = subprocess.check_output(command, cwd=ROOT, text=True)
    assert printed.splitlines()[-1] == f"tools/run slipway {verb} production -- --check"


@pytest.mark.parametrize("name", VARIABLES)
def test_only_the_command_line_sets_a_variable(name: str) -> None:
    """A shell's own ARGS, PORT or IMAGE is not meant, nor that of a `make test ARGS=...` around the tests of a verb."""
    verbs = [verb for verb in VERBS if verb != "demo"]  # its line with $(MAKE) runs even in a dry run
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS", name))}

    def printed(*arguments: str, **exported: str) -> str:
        command = ["make", "--dry-run", *verbs, *arguments]
        return subprocess.check_output(command, cwd=ROOT, env=environment | exported, text=True)

    assert printed(**{name: "1"}) == printed()
    assert printed(f"{name}=1") != printed()
