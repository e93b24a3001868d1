"""An inventory with a typo: every verb names the file and the line, and no verb goes to an example's address."""

from pathlib import Path

import pytest

from slipway.controller import inventory
from slipway.controller.cli import main
from slipway.controller.init import run as init
from slipway.controller.project import Project
from tests.init.repositories import make
from tests.wheel import write_shop

VERBS = (
    ["provision", "production"],
    ["deploy", "production"],
    ["rollback", "production"],
    ["status", "production"],
    ["status", "production", "--json"],
    ["logs", "production"],
    ["run", "production", "--host=www1"],
    ["shell", "production"],
    ["maintenance", "on", "production"],
)


@pytest.mark.parametrize(
    ("file", "text", "place"),
    [
        (
            "hosts.yml",
            "app\n  hosts:\n    www1:\n",
            "hosts.yml:2:8 is not YAML: mapping values",
        ),
        ("hosts.yml", "www1\n", "hosts.yml:1: expected `name: value`"),
        ("group_vars/all.yml", "app_workers: 2\n bad: [\n", "all.yml:2:5 is not YAML"),
        (
            "group_vars/all.yml",
            "app_workers: 2\n\tapp_workload: io\n",
            "all.yml:2:1 is not YAML",
        ),
        (
            "group_vars/all.yml",
            "- app_workers: 2\n",
            "all.yml:1: expected `name: value`",
        ),
        ("group_vars/app/more.yaml", "app_workers: 'two\n", "more.yaml"),
        ("host_vars/www1.yml", "a: 1\n---\nb: 2\n", "www1.yml:2:1 is not YAML"),
    ],
)
def test_a_file_that_is_not_yaml_is_named_with_its_line(file: str, text: str, place: str, tmp_path: Path) -> None:
    environment = write_shop(tmp_path) / "deploy/production"
    (environment / file).parent.mkdir(parents=True, exist_ok=True)
    (environment / file).write_text(text)
    with pytest.raises(inventory.InventoryError) as refused:
        inventory.verify_files([environment])
    assert place in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "---\na: !vault |\n  $ANSIBLE_VAULT;1.1\n",
        "$ANSIBLE_VAULT;1.1;AES256\n61\n",
    ],
)
def test_what_ansible_reads_is_right(text: str, tmp_path: Path) -> None:
    environment = write_shop(tmp_path) / "deploy/production"
    (environment / "group_vars/app.yml").write_text(text)
    inventory.verify_files([environment])


@pytest.mark.parametrize("words", VERBS, ids=lambda words: " ".join(words))
def test_every_verb_names_it(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(write_shop(tmp_path))
    Path("deploy/production/group_vars/all.yml").write_text("app_workers: 2\n bad: [\n")
    words = [*words, "--", "true"] if words[0] == "run" else words
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 1
    assert "all.yml:2:5 is not YAML" in capfd.readouterr().err


@pytest.mark.parametrize("words", VERBS, ids=lambda words: " ".join(words))
def test_no_verb_goes_to_an_address_that_init_wrote(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("SLIPWAY_CHECKOUT", raising=False)
    init(make("sqlmodel", tmp_path))
    assert Project.find(tmp_path).environments == ["production", "staging"]
    monkeypatch.chdir(tmp_path)
    words = [*words, "--", "true"] if words[0] == "run" else words
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "192.0.2.10" in (printed := capfd.readouterr().err)
    assert "is an example that slipway init wrote. Put in your own" in printed
