"""`slipway upgrade`: the pin of the workflows, renamed variables, and what is refused. Nothing else in a file changes."""

import subprocess
from pathlib import Path

import pytest
import yaml

from slipway import __version__
from slipway.controller import origin
from slipway.controller.origin import Origin
from slipway.controller.project import Project
from slipway.controller.upgrade import UpgradeError, changelog, renames
from slipway.controller.upgrade import run as upgrade
from slipway.controller.upgrade.edit import apply
from slipway.controller.upgrade.run import Plan
from slipway.controller.variables import RENAMED, Renamed, unknown_names
from tests.ansible.test_roles import ROLES, options
from tests.wheel import write_shop

OLD, NEW, OTHER = "0" * 40, "1" * 40, "2" * 40
LABEL = f"v{__version__}"
SOURCE = Origin("https://github.com/acme/slipway", NEW, LABEL)
WORKFLOW = """# Calls acme/slipway/.github/workflows/deploy.yml@{ref} # v0.8.0
name: deploy
on: {{push:   {{branches: [main]}}}}
jobs:
  ours:
    uses: acme/ci/.github/workflows/lint.yml@main
  deploy:
    uses: acme/slipway/.github/workflows/deploy.yml@{ref} # v0.8.0
    secrets: inherit  # those of an environment have no other way in
  rollback: {{ "steps" : [] }}
  drift:
    uses: 'Acme/slipway/.github/workflows/drift.yml@{ref}'   # v0.8.0, nightly
  checkout:
    steps:
      - uses: actions/checkout@{ref} # v0.8.0
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose workflows call an older Slipway; no test asks GitHub."""
    folder = write_shop(tmp_path / "shop")
    workflow = folder / ".github/workflows/deploy.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text(WORKFLOW.format(ref=OLD))
    git(folder, "init", "-q")
    commit(folder)
    monkeypatch.setattr(origin, "tags", lambda url: {})
    return Project.find(folder)


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments]
    return subprocess.check_output(command, text=True)


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "A shop")


def plan(shop: Project, source: Origin | None = SOURCE) -> Plan:
    return upgrade.plan(shop, source, is_look=False)


def write(shop: Project, text: str) -> None:
    (shop.root / ".github/workflows/deploy.yml").write_text(text)
    commit(shop.root)


def carry_out(found: Plan) -> list[str]:
    for file in found.changed:
        file.write()
    return "\n".join(found.lines()).splitlines()


def test_the_pins_move_and_nothing_else(shop: Project) -> None:
    lines = carry_out(plan(shop))
    removed = [line[1:] for line in git(shop.root, "diff", "-U0").splitlines() if line.startswith("-    ")]
    assert removed == [line for line in WORKFLOW.format(ref=OLD).splitlines() if "cme/slipway" in line][1:]
    new = (shop.root / ".github/workflows/deploy.yml").read_text()
    assert f"    uses: acme/slipway/.github/workflows/deploy.yml@{NEW} # {LABEL}\n    secrets: inherit  # those" in new
    assert f"    uses: 'Acme/slipway/.github/workflows/drift.yml@{NEW}' # {LABEL}, nightly\n" in new
    assert lines[:2] == [f".github/workflows/deploy.yml:{line}  v0.8.0 -> {LABEL}" for line in (8, 12)]
    assert "## [0.9.0] - 2026-11-28" in lines
    assert any(line.strip().startswith("slipway provision production") for line in lines)
    assert any(line.strip() == origin.install_command(SOURCE.url, LABEL) for line in lines)


def test_a_second_run_changes_nothing(shop: Project) -> None:
    carry_out(plan(shop))
    commit(shop.root)
    again = plan(shop)
    assert again.changed == ()
    assert next(again.lines()) == f"Nothing to change: this project is at Slipway {__version__}."


def test_a_look_writes_nothing_and_does_not_mind_changes(shop: Project) -> None:
    text = WORKFLOW.format(ref=OLD) + "# mine\n"
    (shop.root / ".github/workflows/deploy.yml").write_text(text)
    (file,) = upgrade.plan(shop, SOURCE, is_look=True).changed
    assert f"+    uses: acme/slipway/.github/workflows/deploy.yml@{NEW} # {LABEL}\n" in file.diff()
    assert (shop.root / ".github/workflows/deploy.yml").read_text() == text


@pytest.mark.parametrize(
    ("ref", "told"),
    [
        ("main", "at main, which is no commit"),
        ("v0.8.0", "at v0.8.0, which is no commit"),
        (OLD[:12], "which is no commit"),
        (f"{OLD} # latest", "no version is behind it"),
        (f"{OLD}\n#", "no version is behind it"),
        (f"{OLD} # v99.0.0", "calls v99.0.0, and this Slipway is"),
    ],
)
def test_a_pin_that_is_none_is_refused_by_its_place(shop: Project, ref: str, told: str) -> None:
    write(shop, WORKFLOW.format(ref=OLD).replace(f"deploy.yml@{OLD} # v0.8.0\n    sec", f"deploy.yml@{ref}\n    sec"))
    with pytest.raises(UpgradeError, match=told) as error:
        plan(shop)
    assert ".github/workflows/deploy.yml, line 8 calls" in str(error.value)


def test_changes_that_are_not_committed_are_refused(shop: Project) -> None:
    (shop.root / "main.py").write_text("# of nobody's interest\n")
    plan(shop)
    (shop.root / ".github/workflows/deploy.yml").write_text(WORKFLOW.format(ref=OLD) + "# mine\n")
    with pytest.raises(UpgradeError, match=r"deploy.yml: has changes that are not committed"):
        plan(shop)


def test_pins_that_dependabot_moved_one_by_one_meet_again(shop: Project) -> None:
    write(shop, WORKFLOW.format(ref=OLD).replace(f"drift.yml@{OLD}'   # v0.8.0", f"drift.yml@{NEW}' # {LABEL}"))
    found = plan(shop)
    assert [edit.told for edit in found.changed[0].edits] == [f"v0.8.0 -> {LABEL}"]
    assert "## [0.9.0]" in found.changes


def test_a_tool_of_unknown_origin_asks_for_its_tag(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UpgradeError, match=r"Type: uv tool install .* git\+https://github.com/acme/slipway@v"):
        plan(shop, None)
    monkeypatch.setattr(origin, "tags", lambda url: {LABEL: OTHER, "v99.1.0": NEW} if "acme/slipway" in url else {})
    lines = carry_out(plan(shop, None))
    assert f"@{OTHER} # {LABEL}" in (shop.root / ".github/workflows/deploy.yml").read_text()
    assert "    v99.1.0 is there; then: slipway upgrade" in lines


def test_without_workflows_there_is_no_pin(shop: Project) -> None:
    write(shop, "jobs: {}\n")
    assert "No workflow calls Slipway's, so there is no pin to move." in list(plan(shop).lines())


@pytest.mark.parametrize(
    ("older", "newer", "unreleased", "found"),
    [
        ((0, 8, 0), (0, 9, 0), False, ["0.9.0"]),
        ((0, 9, 0), (1, 0, 1), False, ["1.0.1", "1.0.0"]),
        ((0, 9, 0), (1, 0, 0), True, ["Unreleased", "1.0.0"]),
        ((1, 0, 1), (1, 0, 1), False, []),
        ((0, 10, 0), (1, 0, 0), False, ["1.0.0"]),
    ],
)
def test_the_changelog_between(older: origin.Number, newer: origin.Number, unreleased: bool, found: list[str]) -> None:
    versions = ("Unreleased", "1.0.1", "1.0.0", "0.10.0", "0.9.0", "0.8.0")
    text = "# Changelog\n\n" + "".join(f"## [{version}] - 2026-11-28\n\n- of {version}\n\n" for version in versions)
    expected = [version for version in versions if version in found]
    if (older, newer) in {((0, 9, 0), (1, 0, 1)), ((0, 9, 0), (1, 0, 0))}:
        expected.append("0.10.0")
    between = changelog.between(text, older, newer, unreleased=unreleased)
    assert between == "\n\n".join(f"## [{version}] - 2026-11-28\n\n- of {version}" for version in expected)


RENAMES = {"app_old": Renamed("app_new", "1.0.0"), "host_old": Renamed("host_new", "1.0.0")}
BEFORE = """---
# app_old: a comment stays
app_old:   "a"     # and app_old here
'host_old' : {app_old: 1,   host_name: [x]}
list:
- app_old: >-
    folded app_old text
- "{{ app_old | default('app_old') }}/{{ my_app_old }}"
my_app_old: app_old
text: |
    {% if host_old %}
      {{ host_old }}
"""
AFTER = """---
# app_old: a comment stays
app_new:   "a"     # and app_old here
'host_new' : {app_new: 1,   host_name: [x]}
list:
- app_new: >-
    folded app_old text
- "{{ app_new | default('app_new') }}/{{ my_app_old }}"
my_app_old: app_old
text: |
    {% if host_new %}
      {{ host_new }}
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_names_are_replaced_where_they_are_names(end: str) -> None:
    before, after = (text.replace("\n", end) for text in (BEFORE, AFTER))
    found = list(renames.edits(before, Path("all.yml"), RENAMES))
    assert apply(before, found) == after
    assert list(renames.edits(after, Path("all.yml"), RENAMES)) == []
    yaml.safe_load(after)


def test_a_variable_that_is_set_by_both_names_is_refused() -> None:
    with pytest.raises(UpgradeError, match=r"all.yml, line 2: app_old is now app_new, and app_new is set as well"):
        list(renames.edits("app_new: 1\napp_old: 2\n", Path("all.yml"), RENAMES))


def test_every_file_of_an_inventory_is_looked_at(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a file without a suffix, which Ansible reads; not an encrypted file."""
    for name in ("hosts.yml", "group_vars/app/more.yaml", "group_vars/data", "host_vars/www1.yml"):
        path = shop.inventories / "production" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{path.read_text() if path.exists() else ''}app_old: 1\n")
    (shop.inventories / "production/secrets.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n3132: app_old\n")
    (shop.inventories / "production/settings.env").write_text("app_old=1\n")
    commit(shop.root)
    for name, renamed in RENAMES.items():
        monkeypatch.setitem(RENAMED, name, renamed)
    lines = carry_out(plan(shop))
    for name in ("group_vars/app/more.yaml:1", "group_vars/data:1", "host_vars/www1.yml:1", "hosts.yml:5"):
        assert f"deploy/production/{name}  app_old is now app_new" in lines
    assert [line for line in lines if "secrets.yml" in line] == [
        "deploy/production/secrets.yml is encrypted. Look for renamed variables: ansible-vault edit deploy/production/secrets.yml"
    ]
    assert (
        git(shop.root, "diff", "--stat", "--", "deploy").splitlines()[-1].startswith(" 4 files changed, 4 insertions")
    )


def test_the_preflight_tells_the_new_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RENAMED, "app_old", RENAMES["app_old"])
    found = unknown_names(["app_old"], {"app": {"app_new"}})
    assert found == {"app_old": "since 1.0.0 it is app_new: slipway upgrade"}


def test_every_variable_of_0_9_is_there_or_renamed() -> None:
    known = {name for role in ROLES for name in options(role)}
    gone = set((Path(__file__).parent / "variables_of_0_9.txt").read_text().split()) - known
    assert gone <= set(RENAMED)
    assert not known & set(RENAMED)
    assert {renamed.name for renamed in RENAMED.values()} <= known


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/acme/slipway", "acme/slipway"),
        ("https://github.com/acme/slipway.git/", "acme/slipway"),
        ("git@github.com:acme/slipway.git", "acme/slipway"),
        ("file:///srv/acme/slipway.git", "acme/slipway"),
        ("/srv/acme/slipway", "acme/slipway"),
    ],
)
def test_a_repository_has_the_name_of_its_url(url: str, name: str) -> None:
    assert origin.repository(url) == name
