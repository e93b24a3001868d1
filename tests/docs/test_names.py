"""What the documentation names exists: verbs, commands, paths, variables, tests, phases and environment variables."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.controller.cli import VERBS, app
from slipway.engine.deploy import TIDYING, UNDOABLE
from tests.docs.conftest import PAGES, ROOT, TRACKED, code, label, scenario, spans

ROLES = ("app", "data", "host", "nginx", "release")
NO_VARIABLES = {"app_migrate", "app_once", "data_postgres"}
"""Names that look like a variable of a role and are a database user, an upstream of nginx and a service of Swarm."""

SUFFIXES = ("py", "yml", "yaml", "md", "toml", "lock", "conf", "env", "service", "socket", "timer", "png")
FOLDERS = ("", "ansible", "ansible/roles/app", "ansible/molecule/shared/verify", ".github/workflows", "systemd")
BASES = (*(ROOT / folder for folder in FOLDERS), scenario("resilience"))
"""Where a path may begin. Those of an inventory are written from where they stand."""
PLACES = re.compile(r"hosts\.yml|(group_vars/)?all\.yml|(secrets|secrets\.example)\.yml|settings\.env")

everywhere = pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=label)


@cache
def variables() -> frozenset[str]:
    """The variables of all roles, as their argument_specs.yml have them."""
    found: set[str] = set()
    for file in ROOT.glob("ansible/roles/*/meta/argument_specs.yml"):
        options: dict[str, Any] = yaml.safe_load(file.read_text())["argument_specs"]["main"]["options"]
        found |= set(options)
    return frozenset(found)


@cache
def sources() -> str:
    """All text of the repository that is no documentation."""
    files = (ROOT / name for name in TRACKED if not name.endswith((".md", ".lock", ".png")))
    return "\n".join(file.read_text(errors="ignore") for file in files if ROOT / "tests/docs" not in file.parents)


@everywhere
def test_make_has_each_verb(page: Path) -> None:
    verbs = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", code(page)))
    assert named <= verbs, f"{label(page)} names {sorted(named - verbs)}"


@everywhere
def test_the_tool_or_the_engine_has_each_command(page: Path) -> None:
    commands = set(re.findall(r"add\(\"([a-z-]+)\"", (ROOT / "slipway/engine/cli.py").read_text()))
    commands |= {verb for verbs in VERBS.values() for verb in verbs} | {
        str(each.name) for each in app.registered_groups
    }
    named = set(re.findall(r"(?<![\w/.-])slipway ([a-z][a-z-]+)", code(page)))
    assert named <= commands, f"{label(page)} names {sorted(named - commands)}"


@everywhere
def test_each_variable_is_one_of_a_role(page: Path) -> None:
    named = set(re.findall(rf"(?<![\w.])((?:{'|'.join(ROLES)})_[a-z0-9_]*[a-z0-9](?:_\*)?)(?![\w*])", code(page)))
    patterns = {name for name in named if name.endswith("_*")}
    unknown = named - patterns - variables() - NO_VARIABLES
    unknown |= {name for name in patterns if not any(known.startswith(name[:-1]) for known in variables())}
    assert not unknown, f"{label(page)} names {sorted(unknown)}"


def exists(path: str, page: Path) -> bool:
    path = path.removeprefix("deploy/production/")  # of an adopter's repository
    if PLACES.fullmatch(path):
        return any(ROOT.glob(f"ansible/inventories/production/{path}")) or path.startswith(("secrets", "all"))
    return any(any(base.glob(path.rstrip("/").replace("NAME", "*"))) for base in (*BASES, page.parent))


def paths(page: Path) -> set[str]:
    """What is written as a path inside of the repository: in prose by its form, in a block by its first folder."""
    top = {name.split("/")[0] for name in TRACKED}
    found: set[str] = set()
    for text in spans(page):
        word = text.removeprefix("../")
        if re.fullmatch(r"[\w@.*-]+(/[\w@.*-]+)*/?", word) and (
            word.endswith(("/", *(f".{suffix}" for suffix in SUFFIXES))) or ("/" in word and word.split("/")[0] in top)
        ):
            found.add(word)
    for word in re.findall(r"(?<![\w/@:-])(?:\.\./)*([\w.-]+/[\w./-]*\w)", code(page)):
        if word.split("/")[0] in top:
            found.add(word)
    return found


OUTSIDE = {
    "id_ed25519.pub",
    "nginx.socket",
    "50-site.conf",
    "0006_contract.py",
    "http-*.conf",
    "server-*.conf",
    "listen-https.conf",
    "deploy/",
    "deploy/local/",
    "deploy/production/",
    "deploy/staging/",
    "operate.yml",
    ".env",
    ".env.example",
    ".python-version",
    "mise.toml",
    "setup.py",
}
"""Files of people, of hosts and of examples."""


@everywhere
def test_each_path_exists(page: Path) -> None:
    named = {path for path in paths(page) - OUTSIDE if not path.startswith(".cache/")}
    missing = {path for path in named if not exists(path, page)}
    assert not missing, f"{label(page)} names {sorted(missing)}"


@everywhere
def test_each_test_exists(page: Path) -> None:
    named = set(re.findall(r"\b(test_\w+)(?!\w*\.py|NAME)", " ".join(spans(page)))) - {"test_inside_NAME"}
    modules = {Path(name).stem for name in TRACKED}
    missing = {name for name in named - modules if f"def {name}(" not in sources()}
    assert not missing, f"{label(page)} names {sorted(missing)}"


@everywhere
def test_each_scenario_exists(page: Path) -> None:
    named = set(re.findall(r"molecule test -s (\w+)", code(page)))
    missing = {name for name in named if not (scenario(name) / "molecule.yml").is_file()}
    assert not missing, f"{label(page)} names {sorted(missing)}"


@everywhere
def test_each_environment_variable_is_used(page: Path) -> None:
    named = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", " ".join(spans(page))))
    missing = {name for name in named if not re.search(rf"\b{name}\b", sources())}
    assert not missing, f"{label(page)} names {sorted(missing)}"


def test_the_phases_are_the_engines() -> None:
    text = (ROOT / "docs/reference/deploy-phases.md").read_text()
    named = re.findall(r"^\| ([a-z-]+) \|", text, re.MULTILINE)
    assert named[1:] == [phase.name for phase in (*UNDOABLE, *TIDYING)]


FOR_ADOPTERS = sorted(
    page
    for page in PAGES
    if label(page).startswith(("docs/how-to/", "docs/reference/", "docs/getting-started/your-vm"))
    and page.name != "use-compose.md"
)
FORKS_WORDS = re.compile(
    r"make (up|down|deploy|provision|rollback|status|logs|contract|check)\b|\bARGS=|ENV=|tools/run ansible-vault|ansible/inventories"
)


@pytest.mark.parametrize("page", FOR_ADOPTERS, ids=label)
def test_who_has_only_the_tool_can_type_what_a_page_says(page: Path) -> None:
    """No verb of this repository's Makefile, no folder of it."""
    assert not (found := FORKS_WORDS.search(page.read_text())), f"{label(page)} says {found[0]}"


def test_an_error_of_a_role_names_the_environment() -> None:
    """What is to be typed next is typed as it stands."""
    files = [*(ROOT / "ansible").glob("*.yml"), *(ROOT / "ansible/roles").glob("**/*.yml")]
    assert [str(file) for file in files if re.search(r"<environment>|inventories/<", file.read_text())] == []
