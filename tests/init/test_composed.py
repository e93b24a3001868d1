"""The other processes of an app that Compose runs, and what does not belong to these."""

from pathlib import Path, PurePosixPath

import pytest

from slipway.controller.init.composed import Composed, composed_healthchecks, composed_processes
from slipway.controller.init.findings import find
from slipway.controller.init.sources import Sources

TOP = PurePosixPath()
WEB = "services:\n  api:\n    build: .\n    command: uvicorn main:app\n"


def commands(folder: Path, text: str, context: PurePosixPath = TOP) -> dict[str, str]:
    (folder / "docker-compose.yml").write_text(text)
    processes = composed_processes(Composed.read(folder, [TOP]), folder / context, None, Sources.read(folder))
    return {process.name: process.command for process in processes}


@pytest.mark.parametrize(
    ("service", "command"),
    [
        ("{build: ., command: python -m app.worker}", "exec python -m app.worker"),
        ("{build: {context: ./}, command: [python, jobs.py, 'a b']}", "exec python jobs.py 'a b'"),
        ("{image: notes, command: exec python jobs.py}", "exec python jobs.py"),
        ("{build: ., command: gunicorn main:app}", None),
        ("{build: ., command: alembic upgrade head}", None),
        ("{build: ., command: python jobs.py, profiles: [tools]}", None),
        ("{build: ., command: 'python jobs.py $NAME'}", None),
        ("{build: ./other, command: python jobs.py}", None),
        ("{build: .}", None),
        # The web server by another way,
        ("{build: ., command: python run.py}", None),
        ("{build: ., command: python -m shop}", None),
        ("{build: ., command: /start, ports: ['8000:8000']}", None),
        ("{build: ., command: python -m shop.jobs}", "exec python -m shop.jobs"),
        # and what only Compose can reach.
        ("{build: ., command: 'python jobs.py --queue redis://api:6379'}", None),
        ("{build: ., command: 'rq worker --url redis://api:6379/1 mail'}", "exec rq worker mail"),
        ("{build: ., command: 'celery -A x -b redis://api:6379 worker', ports: ['1:1']}", "exec celery -A x worker"),
        # What comes before the program is done before, or by Slipway.
        ("{build: ., command: sh -c 'sleep 5 && alembic upgrade head && cd src && arq w.S'}", "cd src && exec arq w.S"),
        ("{build: ., command: bash -c 'python jobs.py'}", "exec python jobs.py"),
        ("{build: ., command: sh -c 'python a.py & python b.py'}", "exec sh -c 'python a.py & python b.py'"),
        ("{build: ., command: ./wait-for-it.sh api:1 -- python jobs.py}", "exec python jobs.py"),
        ("{build: ., entrypoint: [python, jobs.py], command: --fast}", "exec python jobs.py --fast"),
        ("{build: ., command: 'python jobs.py -n ${N:-4}'}", "exec python jobs.py -n 4"),
        (
            "{build: ., command: 'rq worker --url redis://elsewhere:6379'}",
            "exec rq worker --url redis://elsewhere:6379",
        ),
        ("{image: postgres, command: postgres -c fsync=off}", None),
        ("{build: ., command: 3}", None),
        ('{build: ., command: "python \'jobs.py"}', None),
        ("[]", None),
    ],
)
def test_a_service_of_the_apps_image_with_a_command_is_a_process(
    service: str, command: str | None, tmp_path: Path
) -> None:
    for path in ("run.py", "shop/__main__.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("import uvicorn\nuvicorn.run('main:app')\n")
    found = commands(tmp_path, f"{WEB}    image: notes\n  mail-worker: {service}\n")
    assert found == ({"mail_worker": command} if command else {})


@pytest.mark.parametrize(
    ("entrypoint", "command"),
    [
        ('["python"]', "exec python -m jobs"),
        ('["uv", "run"]', "exec uv run -m jobs"),
        ('["/entry.sh"]', "exec -m jobs"),
    ],
)
def test_a_command_is_arguments_of_the_images_entrypoint(entrypoint: str, command: str, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {a: {build: ., command: [-m, jobs]}}")
    composed, sources = Composed.read(tmp_path, [TOP]), Sources.read(tmp_path)
    assert [each.command for each in composed_processes(composed, tmp_path, None, sources, entrypoint)] == [command]


def test_a_worker_of_another_image_and_the_web_servers_own_dockerfile(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text(
        "services:\n  worker: {build: {context: ., dockerfile: w}, command: python jobs.py}\n"
        "  ui: {build: {context: ., dockerfile: u}, command: streamlit run ui.py}\n"
        "  api: {build: {context: ., dockerfile: a}}\n"
    )
    for name, cmd in (("w", "python jobs.py"), ("u", ""), ("a", "uvicorn main:app")):
        (tmp_path / name).write_text(f"FROM python\nCOPY . .\nCMD {cmd}\n")
    composed = Composed.read(tmp_path, [TOP])
    assert str(composed.dockerfiles(tmp_path, PurePosixPath("main.py"))[0].path) == "a"
    sources = Sources.read(tmp_path)
    assert composed_processes(composed, tmp_path, tmp_path / "a", sources) == ()
    assert [each.name for each in composed_processes(composed, tmp_path, None, sources)] == ["worker"]


def test_a_profile_that_the_web_server_has_is_no_extra(tmp_path: Path) -> None:
    text = "services:\n  api: {build: ., profiles: [app]}\n  worker: {build: ., command: python jobs.py, profiles: [app]}\n"
    assert commands(tmp_path, text) == {"worker": "exec python jobs.py"}
    assert commands(tmp_path, text.replace("jobs.py, profiles: [app]", "jobs.py, profiles: [app, debug]")) == {}
    assert commands(tmp_path, text.replace("build: ., profiles: [app]", "build: .")) == {}


def test_productions_file_lies_on_top_of_the_usual_one(tmp_path: Path) -> None:
    production = "services:\n  api: {command: gunicorn main:app}\n  worker: {command: python jobs.py}\n"
    (tmp_path / "docker-compose.prod.yml").write_text(production)
    assert commands(tmp_path, f"{WEB}  worker:\n    build: .\n    command: watchmedo jobs.py\n") == {
        "worker": "exec python jobs.py"
    }


def test_compose_files_in_the_folder_docker(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/compose.yaml").write_text("services:\n  worker: {build: .., command: python jobs.py}\n")
    composed = Composed.read(tmp_path, [TOP])
    assert [process.command for process in composed_processes(composed, tmp_path, None, Sources.read(tmp_path))] == [
        "exec python jobs.py"
    ]


@pytest.mark.parametrize(
    ("build", "found"),
    [
        ("{context: ., dockerfile: images/api.Dockerfile}", ("images/api.Dockerfile", ".")),
        ("{context: api, dockerfile: ../images/api.Dockerfile}", ("images/api.Dockerfile", "api")),
        ("api", ("api/Dockerfile", "api")),
        # Not the app's,
        ("web", None),
        ("{context: ., dockerfile: web/Dockerfile}", None),
        ("{context: ., dockerfile: missing}", None),
        # nor of this repository.
        ("{context: .., dockerfile: Dockerfile}", None),
        ("{context: '${FOLDER}'}", None),
        ("3", None),
    ],
)
def test_the_dockerfile_that_compose_builds_the_app_from(
    build: str, found: tuple[str, str] | None, tmp_path: Path
) -> None:
    folder = tmp_path / "shop"
    for path, base in (("images/api.Dockerfile", "python"), ("api/Dockerfile", "python"), ("web/Dockerfile", "node")):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f"FROM {base}\nCOPY . .\n")
    (tmp_path / "Dockerfile").write_text("FROM python\n")
    (folder / "compose.yaml").write_text(f"services:\n  it: {{build: {build}}}\n  again: {{build: {build}}}\n")
    built = Composed.read(folder, [TOP]).dockerfiles(folder, PurePosixPath("api/main.py"))
    assert [(str(each.path), str(each.context)) for each in built] == ([found] if found else [])


def test_health_checks_are_those_of_the_apps_image(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(
        "services:\n  api: {build: ., image: notes, healthcheck: {test: [CMD, curl, 'http://localhost:8000/alive']}}\n"
        "  other: {image: notes, healthcheck: {test: curl http://localhost/x}}\n"
        "  front: {build: web, healthcheck: {test: curl http://localhost/front}}\n  off: {image: notes, healthcheck: 3}\n"
    )
    checks = composed_healthchecks(Composed.read(tmp_path, [TOP]), tmp_path, None)
    assert checks == "CMD curl http://localhost:8000/alive\ncurl http://localhost/x"


@pytest.mark.parametrize("text", ["", "[]", "services: []", "services:\n  a: [", "services: {a: }", "a: b"])
def test_a_file_that_cannot_be_read_has_no_process(text: str, tmp_path: Path) -> None:
    assert commands(tmp_path, text) == {}


def test_init_names_it_unless_a_procfile_does(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    (tmp_path / "requirements.txt").write_text("fastapi\nuvicorn\n")
    (tmp_path / "compose.yaml").write_text(f"{WEB}  worker: {{build: ., command: python jobs.py}}\n")
    assert [(each.name, each.is_single, each.is_scheduler) for each in find(tmp_path, None).processes] == [
        ("worker", True, False)
    ]
    (tmp_path / "Procfile").write_text("web: uvicorn main:app\n")
    assert find(tmp_path, None).processes == ()
