"""The other processes of an app that Compose runs, and what does not belong to these."""

from pathlib import Path, PurePosixPath

import pytest

from slipway.controller.init.composed import Composed, composed_healthchecks, composed_processes
from slipway.controller.init.existing import Dockerfile
from slipway.controller.init.findings import find

TOP = PurePosixPath()
WEB = "services:\n  api:\n    build: .\n    command: uvicorn main:app\n"


def commands(folder: Path, text: str, context: PurePosixPath = TOP) -> dict[str, str]:
    (folder / "docker-compose.yml").write_text(text)
    processes = composed_processes(Composed.read(folder, [TOP]), folder / context)
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
        ("{image: postgres, command: postgres -c fsync=off}", None),
        ("{build: ., command: 3}", None),
        ('{build: ., command: "python \'jobs.py"}', None),
        ("[]", None),
    ],
)
def test_a_service_of_the_apps_image_with_a_command_is_a_process(
    service: str, command: str | None, tmp_path: Path
) -> None:
    found = commands(tmp_path, f"{WEB}    image: notes\n  mail-worker: {service}\n")
    assert found == ({"mail_worker": command} if command else {})


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
