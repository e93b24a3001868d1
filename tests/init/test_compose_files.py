"""Compose files that include, extend and lie on top of one another."""

from pathlib import Path, PurePosixPath

import pytest

from slipway.controller.init.compose_files import context_of, read_services

TOP = PurePosixPath()


def services(folder: Path, files: dict[str, str]) -> dict[str, object]:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return {name: service.get("command") for name, service in read_services(folder, [TOP]).items()}


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"compose.yaml": "include: [other.yaml]\nservices: {a: {command: x}}", "other.yaml": "services: {b: {command: y}}"}, {"a": "x", "b": "y"}),
        ({"compose.yaml": "include: [{path: [a/c.yaml]}]", "a/c.yaml": "services: {a: {command: x}}"}, {"a": "x"}),
        ({"compose.yaml": "include: [compose.yaml]\nservices: {a: {command: x}}"}, {"a": "x"}),
        ({"compose.yaml": "include: [missing.yaml, 3]\nservices: {a: {command: x}}"}, {"a": "x"}),
        ({"compose.yaml": "services: {a: {extends: b, image: i}, b: {command: x}}"}, {"a": "x", "b": "x"}),
        ({"compose.yaml": "services: {a: {extends: {service: b, file: o.yml}}}", "o.yml": "services: {b: {command: x}}"}, {"a": "x"}),
        ({"compose.yaml": "services: {a: {extends: a, command: x}}"}, {"a": "x"}),
        ({"compose.yaml": "services: {a: {command: x, ports: !reset []}, b: {command: !override [y]}}"}, {"a": "x", "b": ["y"]}),
        # For a purpose that production has; not for development,
        ({"compose.yaml": "services: {a: {command: x}}", "compose.worker.yaml": "services: {b: {command: y}}"}, {"a": "x", "b": "y"}),
        ({"compose.yaml": "services: {a: {command: x}}", "compose.dev.yaml": "services: {a: {command: y}}"}, {"a": "x"}),
        ({"docker-compose.override.yml": "services: {a: {command: y}}", "compose.yaml": "services: {a: {}}"}, {"a": None}),
        # unless there is no other.
        ({"docker-compose-dev.yml": "services: {a: {command: x}}"}, {"a": "x"}),
        ({"docker-compose.prod.yml": "services: {a: {command: y}}", "docker-compose.base.yml": "services: {a: {command: x}}"}, {"a": "y"}),
        ({"deploy/docker-compose.yml": "services: {a: {command: x}}"}, {"a": "x"}),
        ({"compose.yaml": "services: [a]"}, {}),
        ({"compose.yaml": "a: ["}, {}),
    ],
)  # fmt: skip
def test_services_of_several_files(files: dict[str, str], found: dict[str, object], tmp_path: Path) -> None:
    assert services(tmp_path, files) == found


def test_the_folder_that_a_build_is_in_is_seen_from_its_own_file(tmp_path: Path) -> None:
    services(tmp_path, {
        "compose.yaml": "include: [api/compose.yaml, {path: web/c.yaml, project_directory: .}]\nservices: {b: {build: '${X:-api}'}}",
        "api/compose.yaml": "services: {a: {build: .}}",
        "web/c.yaml": "services: {w: {build: {context: web, target: t}}, u: {build: $X}, x: {build: {}}}",
        "compose.prod.yaml": "services: {w: {build: {target: p}}}",
    })  # fmt: skip
    built = {
        name: (context_of(service), service["build"].get("target"))
        for name, service in read_services(tmp_path, [TOP]).items()
    }
    api, web = tmp_path / "api", tmp_path / "web"
    assert built == {"a": (api, None), "b": (api, None), "w": (web, "p"), "u": (None, None), "x": (tmp_path, None)}


def test_the_files_of_a_repository_are_those_of_its_apps(tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "compose.yaml").write_text("services: {a: {build: api}}")
    assert read_services(tmp_path / "api", [TOP]) == {}  # not of one repository
    (tmp_path / ".git").mkdir()
    assert read_services(tmp_path / "api", [TOP]) == {"a": {"build": {"context": str(tmp_path / "api")}}}
