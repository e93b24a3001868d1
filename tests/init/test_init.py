"""`slipway init` in repositories that are not alike: what is found, what is written, and what is left alone."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.controller import origin
from slipway.controller.init import InitError, Question, Result, Source, State, run, unanswered
from slipway.controller.settings import read_settings
from slipway.controller.variables import unknown_names
from slipway.model.errors import UsageError
from tests.init.repositories import ALL, LARGE_BYTES, make
from tools.checkout import ROOT

SOURCE = Source("acme/slipway", "4f2a9c1e" * 5, "v1.0.0")
ENVIRONMENTS = {
    f"deploy/{name}/{file}"
    for name in ("production", "staging")
    for file in ("hosts.yml", "group_vars/all.yml", "settings.env")
}
WORKFLOWS = {".github/workflows/deploy.yml", ".github/workflows/operate.yml"}
ALWAYS = ENVIRONMENTS | WORKFLOWS
IMAGE = {"Dockerfile", ".dockerignore"}
WRITTEN = {
    "sqlmodel": {*ALWAYS, *IMAGE, "Procfile", "deploy/production/secrets.example.yml"},
    "poetry": {*ALWAYS, *IMAGE},
    "requirements": {*ALWAYS, *IMAGE},
    "monorepo": {*ALWAYS, "services/api/Dockerfile", "services/api/.dockerignore"},
    "large": {*ALWAYS, *IMAGE},
    "complete": ALWAYS - {"deploy/production/hosts.yml", ".github/workflows/deploy.yml"},
    "pdm": {*ALWAYS, *IMAGE},
    "workspace": {*ALWAYS, *IMAGE},
    "pipenv": {*ALWAYS, *IMAGE},
    "setuptools": {*ALWAYS, *IMAGE},
}
CALLED = [ROOT / f".github/workflows/{name}.yml" for name in ("ci", "deploy", "rollback", "drift")]
TESTS = {
    "sqlmodel": "uv run --locked python -m pytest",
    "poetry": "uvx poetry@2.5.1 install && uvx poetry@2.5.1 run python -m pytest",
    "requirements": "uv run --no-project --python 3.12 --with-requirements requirements.txt --with pytest python -m pytest",
    "monorepo": "cd services/api && uv run --locked --with pytest python -m pytest",
    "large": "uv run --with pytest python -m pytest",
    "complete": "uv run --locked --with pytest python -m pytest",
    "pdm": "uvx --with 'hishel<2' pdm@2.29.4 install --frozen-lockfile && uvx --with 'hishel<2' pdm@2.29.4 run "
    "python -m pytest",
    "workspace": "cd services/api && uv run --locked --with pytest python -m pytest",
    "pipenv": "uvx pipenv@2026.10.3 sync --dev && uvx pipenv@2026.10.3 run python -m pytest",
    "setuptools": "uv run --no-project --python 3.13 --with-editable . --with pytest python -m pytest",
}
FOUND = {
    "sqlmodel": ("heroes.main:app", "uvicorn", "uv", "3.13", "/ops/health", "alembic upgrade head"),
    "poetry": ("shop.web:create_app", "gunicorn", "poetry", "3.13", "/", "none"),
    "requirements": ("main:api", "uvicorn", "pip", "3.12", "/healthz", "none"),
    "monorepo": ("api.server:service", "hypercorn", "uv", "3.12", "/status/ready", "none"),
    "large": ("predict.main:app", "uvicorn", "pyproject", "3.13", "/", "none"),
    "complete": ("app.main:app", "as the Dockerfile starts it", "uv", None, "/docs", "none"),
    "pdm": ("main:app", "uvicorn", "pdm", "3.13", "/ping", "none"),
    "workspace": ("api.main:app", "uvicorn", "uv", "3.13", "/up", "none"),
    "pipenv": ("api.main:app", "uvicorn", "pipenv", "3.13", "/healthz", "none"),
    "setuptools": ("old.app:app", "granian", "setuptools", "3.13", "/docs", "none"),
}

every_repository = pytest.mark.parametrize("name", ALL)


def hashes(folder: Path) -> dict[str, str]:
    """Every file and its content. A large one's size: reading it takes longer than all other tests."""
    return {
        str(path.relative_to(folder)): str(path.stat().st_size)
        if path.stat().st_size == LARGE_BYTES
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git/" not in str(path)
    }


def variables(folder: Path, environment: str = "production") -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((folder / f"deploy/{environment}/group_vars/all.yml").read_text())
    return read


def written(result: Result) -> set[str]:
    return {file.path for file in result.files if file.state is State.WRITTEN}


@every_repository
def test_writes_what_is_missing_and_changes_nothing(name: str, tmp_path: Path) -> None:
    make(name, tmp_path)
    before = hashes(tmp_path)
    result = run(tmp_path, source=SOURCE)
    after = hashes(tmp_path)
    assert {path: after.get(path) for path in before} == before
    assert set(after) - set(before) == written(result) == WRITTEN[name]
    assert len(result.files) <= 12
    found = dict(result.found)
    app, server, manager, python, ready_path, migrations = FOUND[name]
    assert found["app"].split()[0] == app
    assert found["packages"].split(",")[0] == manager
    assert (found["server"], found.get("Python"), found["migrations"]) == (server, python, migrations)
    assert found["ready path"] == ready_path == variables(tmp_path)["app_ready_path"]


@every_repository
def test_a_second_run_changes_nothing_and_says_so(name: str, tmp_path: Path) -> None:
    make(name, tmp_path)
    first = run(tmp_path, source=SOURCE)
    before = hashes(tmp_path)
    second = run(tmp_path)  # the workflows' commit is the written one
    assert hashes(tmp_path) == before
    assert not second.changed
    assert "Nothing changed" in "\n".join(second.lines())
    assert {file.path for file in second.files if file.state is State.UNCHANGED} >= written(first)


@every_repository
def test_ansible_and_the_roles_understand_the_inventory(name: str, tmp_path: Path) -> None:
    make(name, tmp_path)
    run(tmp_path, source=SOURCE)
    roles = {
        path.parents[1].name: yaml.safe_load(path.read_text())
        for path in ROOT.glob("ansible/roles/*/defaults/main.yml")
    }
    for environment in ("production", "staging"):
        assert unknown_names(variables(tmp_path, environment), roles) == {}
        hosts = yaml.safe_load((tmp_path / f"deploy/{environment}/hosts.yml").read_text())
        assert len(hosts["app"]["hosts"]) == 1
        assert read_settings(tmp_path / f"deploy/{environment}/settings.env")["ENVIRONMENT"] == environment


def test_a_file_of_somebody_else_is_named_and_left_alone(tmp_path: Path) -> None:
    make("complete", tmp_path)
    result = run(tmp_path, source=SOURCE)
    states = {file.path: file.state for file in result.files}
    assert states["deploy/production/hosts.yml"] is states[".github/workflows/deploy.yml"] is State.DIFFERS
    assert states["Dockerfile"] is states[".dockerignore"] is states["Procfile"] is State.KEPT
    assert any("deploy/production/hosts.yml, .github/workflows/deploy.yml" in each for each in result.warnings)
    # Its processes are those of its own Procfile.
    assert variables(tmp_path)["app_processes"] == [{"name": "worker"}]


def test_a_changed_file_stays_as_it_was_changed(tmp_path: Path) -> None:
    make("sqlmodel", tmp_path)
    run(tmp_path, source=SOURCE)
    for path in ("Dockerfile", "deploy/staging/settings.env"):
        with (tmp_path / path).open("a") as file:
            file.write("# mine\n")
    before = hashes(tmp_path)
    states = {file.path: file.state for file in run(tmp_path).files}
    assert hashes(tmp_path) == before
    assert {path: state for path, state in states.items() if state is not State.UNCHANGED} == {
        "Dockerfile": State.KEPT,
        "deploy/staging/settings.env": State.DIFFERS,
    }


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    make("requirements", tmp_path / "app")
    (tmp_path / "app/Procfile").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "app/.dockerignore").symlink_to(tmp_path / "elsewhere")
    run(tmp_path / "app", source=SOURCE)
    assert not (tmp_path / "elsewhere").exists()


def test_questions_are_about_what_cannot_be_found(tmp_path: Path) -> None:
    make("poetry", tmp_path)
    questions: list[Question] = []
    answers = {
        "The site's name, as in a browser": "shop.example.com",
        "The address of production's host, or Enter if there is none yet": "203.0.113.7",
        "A public key that may deploy, the line of a .pub file": "",
        "A path that answers 2xx when the app can serve": "/open",
    }

    def ask(question: Question) -> str:
        questions.append(question)
        return answers[question.text]

    run(tmp_path, ask=ask, source=SOURCE)
    assert {question.text for question in questions} == set(answers)
    assert variables(tmp_path)["nginx_server_names"] == ["shop.example.com"]
    assert variables(tmp_path, "staging")["nginx_server_names"] == ["staging.shop.example.com"]
    assert variables(tmp_path)["nginx_tls"] == variables(tmp_path, "staging")["nginx_tls"] == "acme"
    assert "203.0.113.7" in (tmp_path / "deploy/production/hosts.yml").read_text()
    # The answers are in the files: nothing is a question any more.
    before = hashes(tmp_path)
    questions.clear()
    assert not run(tmp_path, ask=ask).changed
    assert (questions, hashes(tmp_path)) == ([], before)


def test_of_several_apps_a_person_chooses_and_yes_takes_the_most_probable(tmp_path: Path) -> None:
    make("pdm", tmp_path)
    (tmp_path / "admin.py").write_text("from fastapi import FastAPI\n\napp = FastAPI()\n")
    choices: list[tuple[str, ...]] = []

    def ask(question: Question) -> str:
        choices.append(question.choices)
        return "app in admin.py" if question.choices else ""

    assert dict(run(tmp_path).found)["app"] == "main:app (main.py)"
    for path in ("Dockerfile", ".dockerignore"):
        (tmp_path / path).unlink()
    result = run(tmp_path, ask=ask)
    assert ("app in main.py", "app in admin.py") in choices
    assert dict(result.found)["app"] == "admin:app (admin.py)"
    assert any("not deployed: app in main.py" in warning for warning in result.warnings)


@pytest.mark.parametrize("name", ["id_ed25519", "id_rsa"])
def test_a_persons_own_key_may_deploy(name: str, tmp_path: Path, nobodys_home: Path) -> None:
    make("pdm", tmp_path)
    (nobodys_home / ".ssh").mkdir()
    (nobodys_home / f".ssh/{name}.pub").write_text("ssh-ed25519 AAAAC3NzaC1 ann@laptop\n")
    run(tmp_path)
    assert variables(tmp_path)["host_deploy_keys"] == ["ssh-ed25519 AAAAC3NzaC1 ann@laptop"]


def test_data_settings_and_secrets_of_the_app(tmp_path: Path) -> None:
    make("sqlmodel", tmp_path)
    run(tmp_path, source=SOURCE)
    site = variables(tmp_path)
    assert site["app_database_scheme"] == "postgresql+psycopg"
    assert site["data_broker"] is False
    assert site["app_secrets_as_environment"] == ["SESSION_SECRET"]
    assert "app_egress" not in site
    assert yaml.safe_load((tmp_path / "deploy/production/hosts.yml").read_text())["data"] == {"hosts": {"www1": None}}
    example = yaml.safe_load((tmp_path / "deploy/production/secrets.example.yml").read_text())
    assert example == {"app_secrets": {"SESSION_SECRET": "change-me"}}
    assert read_settings(tmp_path / "deploy/production/settings.env")["REGION"] == "eu-central-1"
    assert (tmp_path / "Procfile").read_text() == "release: alembic upgrade head\n"


def test_the_context_has_neither_data_nor_secrets(tmp_path: Path) -> None:
    make("large", tmp_path / "large")
    result = run(tmp_path / "large", source=SOURCE)
    lines = (tmp_path / "large/.dockerignore").read_text().splitlines()
    assert [line for line in lines if line.startswith("!")] == ["!/*.py", "!/predict", "!/pyproject.toml"]
    assert any("recordings (2.0 GB)" in warning for warning in result.warnings)
    make("sqlmodel", tmp_path / "sqlmodel")
    run(tmp_path / "sqlmodel", source=SOURCE)
    assert {"*", "**/.env"} < set((tmp_path / "sqlmodel/.dockerignore").read_text().splitlines())


def test_the_context_has_what_the_app_may_read(tmp_path: Path) -> None:
    make("pdm", tmp_path)
    for path in (
        "config.yaml",
        "service-account.json",
        "compose.yaml",
        "notes.txt",
        "db.sqlite3",
        ".env",
        "ignored.csv",
        "ignoriert-für-git.csv",
    ):
        (tmp_path / path).write_text("x\n")
    for folder in ("static", "tests", "docs", "frontend", "env", "empty"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text("" if folder == "empty" else "x")
    (tmp_path / "frontend/package.json").write_text("{}")
    (tmp_path / "env/pyvenv.cfg").write_text("home = x")
    (tmp_path / ".gitignore").write_text("ignored.csv\nignoriert-*\n")
    run(tmp_path)
    lines = (tmp_path / ".dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!/") for line in lines if line.startswith("!")}
    assert sent == {"*.py", "config.yaml", "notes.txt", "pdm.lock", "pyproject.toml", "static"}


def test_what_the_app_serves_is_sent_and_has_to_be_there(tmp_path: Path) -> None:
    make("pdm", tmp_path)
    with (tmp_path / "main.py").open("a") as file:
        file.write("from starlette.staticfiles import StaticFiles\nStaticFiles(directory='web/dist')\n")
    (tmp_path / "web").mkdir()
    (tmp_path / "web/package.json").write_text("{}")
    assert any("serves web/dist, which is not in the repository" in warning for warning in run(tmp_path).warnings)
    (tmp_path / ".dockerignore").unlink()
    (tmp_path / "web/dist").mkdir()
    assert not any("web/dist" in warning for warning in run(tmp_path).warnings)
    assert "!/web\n" in (tmp_path / ".dockerignore").read_text()


def test_a_folder_that_may_not_be_read_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make("pdm", tmp_path)
    (tmp_path / "pgdata").mkdir()
    (tmp_path / "pgdata/base").write_text("x")
    access = os.access
    monkeypatch.setattr("os.access", lambda path, mode: "pgdata" not in str(path) and access(path, mode))  # root may
    run(tmp_path)
    assert "!/pgdata" not in (tmp_path / ".dockerignore").read_text()


def test_an_image_of_a_folder_is_built_there(tmp_path: Path) -> None:
    make("monorepo", tmp_path)
    run(tmp_path, source=SOURCE)
    site = variables(tmp_path)
    assert (site["release_context"], site["release_dockerfile"]) == ("services/api", "services/api/Dockerfile")
    assert site["app_egress"] == "internet"  # httpx


def test_one_app_of_several_in_a_repository(tmp_path: Path) -> None:
    make("monorepo", tmp_path)
    result = run(tmp_path / "services/api", source=SOURCE)
    assert {file.path for file in result.files} == {
        *ENVIRONMENTS,
        "../../.github/workflows/deploy-api.yml",
        "../../.github/workflows/operate-api.yml",
        *IMAGE,
    }
    workflow = yaml.safe_load((tmp_path / ".github/workflows/deploy-api.yml").read_text())
    assert workflow["jobs"]["deploy"]["with"]["project"] == "services/api"
    assert "release_context" not in variables(tmp_path / "services/api")
    assert not run(tmp_path / "services/api").changed


def test_workflows_need_a_commit_to_name(tmp_path: Path) -> None:
    make("pdm", tmp_path)
    result = run(tmp_path)
    assert not (tmp_path / ".github").exists()
    assert any(warning.startswith("no workflows:") for warning in result.warnings)
    assert written(run(tmp_path, source=Source("acme/slipway", "4f2a9c1", ""))) == WORKFLOWS


@pytest.mark.parametrize("name", ["sqlmodel", "monorepo"])
def test_github_accepts_the_workflows(name: str, tmp_path: Path) -> None:
    make(name, tmp_path)
    folder = tmp_path / "services/api" if name == "monorepo" else tmp_path
    run(folder, source=SOURCE)
    files = sorted((tmp_path / ".github/workflows").iterdir())
    subprocess.run(["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files], check=True)
    for file in files:
        uses = re.findall(r"uses: (\S+)", file.read_text())
        assert uses
        assert all(re.fullmatch(r"acme/slipway/\.github/workflows/[a-z]+\.yml@[0-9a-f]{40}", each) for each in uses)
    deploy = next(file for file in files if file.name.startswith("deploy"))
    lines = [line for line in deploy.read_text().splitlines() if not line.lstrip().startswith("#")]
    assert len(lines) <= 15, lines
    called = {file.name: yaml.safe_load((ROOT / ".github/workflows" / file.name).read_text())[True] for file in CALLED}
    for file in files:
        for job in yaml.safe_load(file.read_text())["jobs"].values():
            known = called[job["uses"].partition("@")[0].rpartition("/")[2]]["workflow_call"]
            given = set(job.get("with", {}))
            assert given <= set(known["inputs"])
            assert {name for name, each in known["inputs"].items() if each.get("required")} <= given
            assert job["secrets"] == "inherit" or set(job["secrets"]) == set(known["secrets"])


def test_linters_of_workflows_accept_them(tmp_path: Path) -> None:
    make("monorepo", tmp_path)
    run(tmp_path / "services/api", source=SOURCE)
    subprocess.run(["zizmor", "--offline", "--quiet", tmp_path / ".github"], check=True)


def test_inputs_are_documented() -> None:
    for file in CALLED:
        call = yaml.safe_load(file.read_text())[True]["workflow_call"]
        for value in (*call["inputs"].values(), *call.get("secrets", {}).values(), *call.get("outputs", {}).values()):
            assert value["description"], file


@every_repository
def test_ci_runs_the_tests_by_the_repositorys_own_manager(name: str, tmp_path: Path) -> None:
    make(name, tmp_path)
    declared = tmp_path / "pyproject.toml"
    if name in {"poetry", "pdm"}:
        declared.write_text(declared.read_text() + '\n# "pytest"\n')
    where = {"monorepo": "services/api/", "workspace": "services/api/"}.get(name, "")
    (tmp_path / where / "tests").mkdir(exist_ok=True)
    (tmp_path / where / "tests/test_app.py").write_text("def test_app(): ...\n")
    result = run(tmp_path, source=SOURCE)
    assert dict(result.found)["tests"] == TESTS[name]
    if name != "complete":  # whose workflow is somebody else's
        workflow = yaml.safe_load((tmp_path / ".github/workflows/deploy.yml").read_text())
        assert workflow["jobs"]["deploy"]["with"]["test"] == TESTS[name]
        assert not any("CI runs no tests" in warning for warning in result.warnings)


def test_pytest_comes_from_the_group_that_has_it(tmp_path: Path) -> None:
    make("sqlmodel", tmp_path)
    project = tmp_path / "pyproject.toml"
    declared = project.read_text()
    for old, new, options in (
        ("dev =", "dev =", ""),
        ("dev =", "test =", "--group test "),
        ("[dependency-groups]\ndev =", "[project.optional-dependencies]\ntest =", "--extra test "),
        ("pytest", "mypy", "--with pytest "),
    ):
        project.write_text(declared.replace(old, new))
        assert dict(run(tmp_path).found)["tests"] == f"uv run --locked {options}python -m pytest"


def test_without_tests_ci_has_none_and_that_is_told(tmp_path: Path) -> None:
    make("requirements", tmp_path)
    result = run(tmp_path, source=SOURCE)
    assert dict(result.found)["tests"] == "none"
    workflow = tmp_path / ".github/workflows/deploy.yml"
    assert "test" not in yaml.safe_load(workflow.read_text())["jobs"]["deploy"]["with"]
    told = "CI runs no tests: write the command that runs them behind `test:` in .github/workflows/deploy.yml"
    assert told in result.warnings
    with workflow.open("a") as file:
        file.write("      test: make test\n")
    assert told not in run(tmp_path).warnings


@pytest.mark.parametrize(
    ("dependabot", "told"),
    [
        (None, "write .github/dependabot.yml"),
        ("version: 2\nupdates:\n  - package-ecosystem: uv\n    directory: /\n", "add to .github/dependabot.yml"),
        ("version: 2\nupdates:\n  - package-ecosystem: github-actions\n    directory: /\n", ""),
        (": no YAML", "add to .github/dependabot.yml"),
        ("- a list", "add to .github/dependabot.yml"),
    ],
)
def test_what_moves_the_commit_is_told_and_not_written(dependabot: str | None, told: str, tmp_path: Path) -> None:
    make("pdm", tmp_path)
    file = tmp_path / ".github/dependabot.yml"
    if dependabot is not None:
        file.parent.mkdir()
        file.write_text(dependabot)
    warnings = [warning for warning in run(tmp_path, source=SOURCE).warnings if "Dependabot" in warning]
    assert [told in warning and 'patterns: ["acme/slipway*"]' in warning for warning in warnings] == [True] * bool(told)
    assert (file.read_text() if file.exists() else None) == dependabot
    if dependabot is None:
        document = warnings[0].partition("dependabot.yml:\n")[2]
        file.write_text(f"{document}\n")
        subprocess.run(["check-jsonschema", "--builtin-schema", "vendor.dependabot", file], check=True)
        assert not any("Dependabot" in warning for warning in run(tmp_path).warnings)


COMMIT = "4f2a9c1e" * 5


def recorded(url: str, revision: str | None, **vcs: str) -> str:
    info = {"vcs": "git", "commit_id": COMMIT} | vcs | ({"requested_revision": revision} if revision else {})
    return json.dumps({"url": url, "vcs_info": info})


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (recorded("https://github.com/acme/slipway", "v1.0.0"), Source("acme/slipway", COMMIT, "v1.0.0")),
        (recorded("https://github.com/acme/slipway.git", "main"), Source("acme/slipway", COMMIT, "")),
        (recorded("ssh://git@github.com/acme/slipway.git", None), Source("acme/slipway", COMMIT, "")),
        (recorded("https://git.example.com/acme/slipway", "v1.0.0"), None),
        ('{"url": "file:///home/ann/slipway", "dir_info": {"editable": true}}', None),
        ('{"url": "https://github.com/acme/slipway/releases/slipway.whl", "archive_info": {}}', None),
        ("{}", None),
    ],
)
def test_the_source_is_what_the_tool_was_installed_from(text: str, source: Source | None) -> None:
    found = origin.parse(text)
    assert (Source.of(found) if found else None) == source


@pytest.mark.parametrize(
    ("typed", "version"),
    [
        (f"acme/slipway@{COMMIT}", ""),
        (f"acme/slipway@{COMMIT} # v1.0.0", "v1.0.0"),
        (f"acme/slipway@{COMMIT}#v1", "v1"),
    ],
)
def test_a_person_names_the_source(typed: str, version: str) -> None:
    assert Source.typed(typed) == Source("acme/slipway", COMMIT, version)


@pytest.mark.parametrize(
    "typed", ["acme/slipway@v1.0.0", "acme/slipway", f"slipway@{COMMIT}", f"acme/slipway@{COMMIT}0"]
)
def test_a_source_without_a_whole_commit_is_refused(typed: str) -> None:
    with pytest.raises(UsageError, match=r"--source .* git ls-remote"):
        Source.typed(typed)


def test_the_written_commit_comes_before_that_of_the_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make("pdm", tmp_path)
    monkeypatch.setattr(Source, "installed", lambda: Source("acme/slipway", "a" * 40, "v1.0.0"))
    run(tmp_path)
    monkeypatch.setattr(Source, "installed", lambda: Source("acme/slipway", "b" * 40, "v1.1.0"))
    assert not run(tmp_path).changed
    assert f"deploy.yml@{'a' * 40} # v1.0.0" in (tmp_path / ".github/workflows/deploy.yml").read_text()


def test_linters_accept_what_is_written(tmp_path: Path) -> None:
    files: list[Path] = []
    for name in ALL:
        make(name, tmp_path / name)
        files += [tmp_path / name / path for path in written(run(tmp_path / name, source=SOURCE))]
    yaml_files = [file for file in files if file.suffix == ".yml"]
    subprocess.run(["yamllint", "--strict", "--config-file", ROOT / ".yamllint", *yaml_files], check=True)
    subprocess.run(["hadolint", *(file for file in files if file.name == "Dockerfile")], check=True)
    for file in files:
        text = file.read_text()
        assert text.endswith("\n")
        assert not re.search(r"[ \t]+$|\n\n\n|\n\n\Z", text, re.MULTILINE), file


def test_nothing_is_written_where_there_is_no_app(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("print('no app')\n")
    with pytest.raises(
        InitError, match=r"none of its 1 Python files has one that a server can import, as app = FastAPI\(\)"
    ):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["main.py"]


def test_a_factory_that_needs_arguments_is_named(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import fastapi\n\ndef make(settings):\n    return fastapi.FastAPI()\n")
    with pytest.raises(InitError, match=r"make in shop\.py needs arguments: write a module with app = make\(\.\.\.\)"):
        run(tmp_path)


def test_nothing_is_written_without_dependencies(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import fastapi\n\napp = fastapi.FastAPI()\n")
    with pytest.raises(InitError, match=r"main\.py has an app, .* pip freeze > requirements\.txt"):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["main.py"]


def test_an_app_without_a_server_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import fastapi\n\napp = fastapi.FastAPI()\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a"\nversion = "0"\ndependencies = ["fastapi"]\n')
    (tmp_path / "uv.lock").write_text("version = 1\n")
    assert any("uv add uvicorn" in warning for warning in run(tmp_path).warnings)


def test_what_setuptools_requires_is_written_by_hand(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import fastapi\n\napp = fastapi.FastAPI()\n")
    (tmp_path / "setup.py").write_text("import setuptools\n\nsetuptools.setup(install_requires=['fastapi'])\n")
    assert any("Write uvicorn into install_requires of setup.py" in warning for warning in run(tmp_path).warnings)


def test_what_a_setup_py_computes_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import fastapi\n\napp = fastapi.FastAPI()\n")
    (tmp_path / "setup.py").write_text("import setuptools\n\nsetuptools.setup(install_requires=needs('base.in'))\n")
    warnings = run(tmp_path).warnings
    assert any("not known without running its code" in warning for warning in warnings)
    assert not any("no package of the app is a server" in warning for warning in warnings)


def test_a_list_that_is_empty_is_known(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import fastapi\n\napp = fastapi.FastAPI()\n")
    (tmp_path / "requirements.txt").write_text("# later\n")
    warnings = run(tmp_path).warnings
    assert any("no package of the app is a server" in warning for warning in warnings)
    assert not any("not known without running its code" in warning for warning in warnings)


def test_the_project_itself_as_a_requirement(tmp_path: Path) -> None:
    """The package of a repository's top is no folder that its requirements are in."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/main.py").write_text("import fastapi\nfrom .x import y\n\napp = fastapi.FastAPI()\n")
    (tmp_path / "shop/x.py").write_text("y = 1\n")
    (tmp_path / "requirements.txt").write_text(".\nfastapi[standard]\n")
    run(tmp_path)
    assert "/requirements.txt" not in (tmp_path / "Dockerfile").read_text().replace("./requirements.txt", "")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite:///./shop.db", True),
        ("sqlite+aiosqlite:///shop.db", True),
        ("sqlite:////var/lib/app/shop.db", False),
        ("sqlite:///:memory:", False),
    ],
)
def test_sqlite_beside_the_code_is_told(url: str, told: bool, tmp_path: Path) -> None:
    make("pdm", tmp_path)
    with (tmp_path / "main.py").open("a") as file:
        file.write(f'\nURL = "{url}"\n')
    assert any("STATE_DIRECTORY" in warning for warning in run(tmp_path).warnings) is told


def test_no_code_of_the_repository_runs(tmp_path: Path) -> None:
    make("pdm", tmp_path)
    with (tmp_path / "main.py").open("a") as file:
        file.write("\nopen('imported', 'w')\nraise SystemExit\n")
    run(tmp_path)
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize("name", ["deploy", "deploy/production", "deploy/production/group_vars"])
def test_a_file_where_a_folder_has_to_be_is_named_before_anything_is_written(name: str, tmp_path: Path) -> None:
    make("pdm", tmp_path)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine\n")
    before = hashes(tmp_path)
    with pytest.raises(InitError, match=rf"{name} is no folder\. Rename it"):
        run(tmp_path)
    assert hashes(tmp_path) == before


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make("pdm", tmp_path)
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    with pytest.raises(InitError, match="is not writable for you"):
        run(tmp_path)
    assert not (tmp_path / "deploy").exists()


CELERY = "import celery\nqueue = celery.Celery('x')\n"
OWN = "FROM python:3.13 AS build\nCOPY {copied} /srv/\nFROM build AS production\nCMD uvicorn main:app\n"
OWN += "FROM build AS debug\nCMD python -m pdb main.py\n"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {
                "requirements.txt": "fastapi==1\nuvicorn==1\npsycopg2-binary==3\n",
                "db.py": "x = 1\nDATABASE_URL = 'postgresql://me:me@localhost/shop'\n",
            },
            'line 2 of db.py says where PostgreSQL is, which is elsewhere on a host. Write there: os.environ["DATABASE_URL"]',
        ),
        (
            {
                "requirements.txt": "fastapi==1\nuvicorn==1\nredis==3\n",
                "compose.yml": "services: {cache: {image: redis}}",
                "db.py": "r = redis.Redis(host='cache')\n",
            },
            "line 1 of db.py connects to a service of Compose",
        ),
        (
            {"requirements.txt": "fastapi==1\nuvicorn==1\nredis==3\n", "db.py": "r = redis.Redis(host='localhost')\n"},
            "",
        ),
        (
            {"Dockerfile": "FROM python:3.13\nRUN alembic upgrade head\nCMD x\n"},
            "Dockerfile migrates while the image is built",
        ),
        (
            {
                "requirements.txt": "fastapi==1\nuvicorn==1\nasyncpg==1\n",
                "db.py": "import os\ndef make():\n    connect(os.environ['DATABASE_URL']).execute('CREATE TABLE IF NOT EXISTS a ()')\n",
            },
            "",
        ),
        (
            {
                "requirements.txt": "fastapi==1\nuvicorn==1\nasyncpg==1\n",
                "db.py": "import os\ndef make():\n    connect(os.environ['DATABASE_URL']).execute('CREATE TABLE IF NOT EXISTS a ()')\n",
                "main.py": "from fastapi import FastAPI\nfrom db import make\napp = FastAPI(on_startup=[make])\n",
            },
            "db.py creates tables, as the Procfile",
        ),
        ({".gitignore": "*.env\n"}, "git add --force deploy/production/settings.env deploy/staging/settings.env"),
        ({"Dockerfile": OWN.format(copied="main.py"), "alembic.ini": ""}, ""),
        ({"Dockerfile": OWN.format(copied=". ."), "alembic.ini": ""}, ""),
        (
            {
                "Dockerfile": f"{OWN.format(copied='.')}FROM python:3.13\nCOPY --from=build /a /a\nCMD x\n",
                "alembic.ini": "",
            },
            "",
        ),
        (
            {
                "Dockerfile": OWN.format(copied="."),
                "compose.yml": "services:\n  a:\n    build:\n      target: production\n",
            },
            "",
        ),
        (
            {"Dockerfile": OWN.format(copied="."), "compose.yml": "services:\n  a:\n    build:\n      target: debug\n"},
            "",
        ),
        ({"requirements.txt": "fastapi==1\n"}, "echo uvicorn >> requirements.txt"),
        (
            {
                "requirements.txt": "fastapi==1\nuvicorn==1\nasyncpg==1\n",
                "db.py": "URL = os.environ['DATABASE_URL']\nclass Tables:\n    def make(self):\n        Base.metadata.create_all(self.engine)\n",
            },
            "as `release: ",
        ),
        ({"Procfile": "web: uvicorn main:app\n", "alembic.ini": ""}, "release: python -m alembic upgrade head"),
        ({"Procfile": "web: uvicorn main:app\nrelease: true\n", "alembic.ini": ""}, ""),
        ({"requirements.txt": "fastapi==1\nuvicorn==1\n", "db.py": "Base.metadata.create_all(e)\n"}, ""),
        ({"requirements.txt": "fastapi==1\nuvicorn==1\nrq==1\n"}, "no worker of rq"),
        ({"requirements.txt": "fastapi==1\nuvicorn==1\napscheduler==1\n"}, "twice during a deploy"),
        (
            {
                "requirements.txt": "fastapi==1\nuvicorn==1\napscheduler==1\n",
                "clock.py": "import apscheduler.schedulers.blocking as a\nif __name__ == '__main__':\n    a.BlockingScheduler()\n",
            },
            "",
        ),
        (
            {"Procfile": "web: uvicorn main:app\nworker: python w.py\nbeat: exec celery beat\n"},
            "to stop: exec python w.py",
        ),
        (
            {"Dockerfile": "FROM python:3.13\nCOPY . .\n"},
            "no CMD and no ENTRYPOINT. app_command in deploy/<environment>/group_vars/all.yml starts the server: exec uvicorn main:app",
        ),
        (
            {"Dockerfile": "FROM python:3.13\nCOPY . .\nCMD uvicorn main:app --reload\n"},
            "for development. app_command in deploy/<environment>/group_vars/all.yml starts the server: exec uvicorn main:app",
        ),
        (
            {"requirements.txt": "fastapi==1\nuvicorn==1\nasyncpg==1\n"},
            'app_data_environment: {NAME: "{database_url}"}',
        ),
        (
            {"requirements.txt": "fastapi==1\nuvicorn==1\ncelery==1\n", "tasks.py": CELERY},
            "echo redis >> requirements.txt",
        ),
        ({"requirements.txt": "fastapi==1\nuvicorn==1\ncelery[redis]==1\n", "tasks.py": CELERY}, ""),
        (
            {"settings.py": "import os\nos.getenv('JWT_SECRET', 'x')\n"},
            "a default for JWT_SECRET, which everybody may read",
        ),
        (
            {"alembic.ini": "", "scripts/prestart.sh": "alembic upgrade head\npython fill.py\n"},
            "release: bash scripts/prestart.sh",
        ),
        ({"settings.py": "import os\nos.getenv('APP_ENV', 'dev')\n"}, "by the default of APP_ENV: set a value"),
        ({"alembic.ini": "", "scripts/migrate.sh": "python -m alembic upgrade head\n"}, ""),
        ({"alembic.ini": "", "start.sh": "alembic upgrade head\npython fill.py\nuvicorn main:app\n"}, ""),
        (
            {
                "alembic.ini": "",
                "entrypoint.sh": "alembic upgrade head\npython -m serve\n",
                "serve.py": "import uvicorn\nuvicorn.run('main:app')\n",
            },
            "",
        ),
        ({"alembic.ini": "", "entrypoint.sh": "alembic upgrade head\npython fill.py\nexec $@\n"}, ""),
        ({"alembic.ini": "", "scripts/test.sh": "alembic upgrade head\npython fill.py\npytest\n"}, ""),
        ({"requirements.txt": "-i https://p.example/s\nfastapi==1\nuvicorn==1\n"}, "come from https://p.example/s."),
        (
            {"main.py": "from fastapi import FastAPI\napp = FastAPI(openapi_url=None)\n"},
            "app_ready_path is a guess, /:",
        ),
        (
            {"other/pyproject.toml": "[project]\n", "other/main.py": "import fastapi\napp = fastapi.FastAPI()\n"},
            "entrypoint = ",
        ),
    ],
)
def test_what_will_not_work_is_told_with_what_to_type(files: dict[str, str], told: str, tmp_path: Path) -> None:
    subprocess.run(["git", "-C", tmp_path, "init", "--quiet"], check=True)
    usual = {
        "main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
        "requirements.txt": f"fastapi==1\nuvicorn==1\n{'alembic==1' if 'alembic.ini' in files else ''}\n",
    }
    for name, text in (usual | files).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    warnings = [text for text in run(tmp_path).warnings if not text.startswith("no workflows")]
    assert told in "".join(warnings)
    assert len(warnings) == bool(told), warnings


def test_the_stage_and_the_command_of_somebodys_image_are_written(tmp_path: Path) -> None:
    for path, content in {
        "requirements.txt": "fastapi==1\nuvicorn==1\n",
        "main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
        "Dockerfile": "FROM python AS run\nCOPY . .\nCMD uvicorn main:app --reload --port 80\nFROM run AS test\n",
        "compose.yaml": "services: {a: {build: {context: ., target: run}}}",
    }.items():
        (tmp_path / path).write_text(content)
    run(tmp_path)
    site = variables(tmp_path)
    assert (site["release_target"], site["app_command"]) == ("run", "exec uvicorn main:app --port 80")


def test_a_procfile_that_the_dockerfile_does_not_copy_is_added(tmp_path: Path) -> None:
    for path, text in {
        "compose.yaml": "services:\n  api: {build: {context: ., dockerfile: backend/Dockerfile}}\n",
        "backend/Dockerfile": "FROM python:3.13\nCOPY ./backend/app /app\nCMD fastapi run app/main.py\n",
        "backend/requirements.txt": "fastapi==1\nuvicorn==1\nalembic==1\n",
        "backend/alembic.ini": "[alembic]\n",
        "backend/app/main.py": "import fastapi\napp = fastapi.FastAPI()\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    run(tmp_path)
    assert (tmp_path / "backend/Procfile").is_file()
    assert (variables(tmp_path)["release_context"], variables(tmp_path)["release_procfile"]) == (
        ".",
        "backend/Procfile",
    )
    (tmp_path / "backend/Dockerfile").write_text("FROM python:3.13\nCOPY backend .\nCMD fastapi run app/main.py\n")
    shutil.rmtree(tmp_path / "deploy")
    run(tmp_path)
    assert "release_procfile" not in variables(tmp_path)


def test_environment_has_the_word_that_the_app_knows(tmp_path: Path) -> None:
    make("pdm", tmp_path)
    (tmp_path / "settings.py").write_text(
        "from typing import Literal\nfrom pydantic_settings import BaseSettings\n"
        "class Settings(BaseSettings):\n    ENVIRONMENT: Literal['dev', 'prod']\n"
    )
    run(tmp_path)
    for name in ("production", "staging"):
        assert read_settings(tmp_path / f"deploy/{name}/settings.env")["ENVIRONMENT"] == "prod"


def test_an_answer_that_is_still_an_example_is_named(tmp_path: Path) -> None:
    make("pdm", tmp_path)
    run(tmp_path)
    production = tmp_path / "deploy/production"
    assert "ansible_host: 192.0.2.10" in unanswered(production)
    assert "ansible_host" in unanswered(tmp_path / "deploy/staging")
    for file, example, mine in (
        ("hosts.yml", "192.0.2.10", "203.0.113.7"),
        ("group_vars/all.yml", "REPLACE-THIS", "AAAA"),
    ):
        text = (production / file).read_text()
        (production / file).write_text(text.replace(example, mine))
        assert ("host_deploy_keys" in unanswered(production)) is (file == "hosts.yml")


def test_conda_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import fastapi\n\napp = fastapi.FastAPI()\n")
    (tmp_path / "environment.yml").write_text("dependencies: [python=3.12, fastapi]\n")
    with pytest.raises(
        InitError, match=r"environment\.yml is for conda.* pip list --format=freeze > requirements\.txt"
    ):
        run(tmp_path)


@pytest.mark.parametrize(("line", "is_left_out"), [("COPY . .", True), ("COPY .env.production .env", False)])
def test_an_env_file_gets_into_no_image_unless_its_dockerfile_names_it(
    line: str, is_left_out: bool, tmp_path: Path
) -> None:
    make("requirements", tmp_path)
    dockerfile = f"FROM python:3.13-slim\n{line}\n"
    for folder in (tmp_path, *(path.parent for path in tmp_path.rglob("requirements.txt"))):
        (folder / "Dockerfile").write_text(dockerfile)
    run(tmp_path)
    (ignored,) = tmp_path.rglob(".dockerignore")
    assert ("**/.env" in ignored.read_text().splitlines()) is is_left_out
