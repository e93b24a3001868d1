"""The command that starts the server of somebody's image."""

from pathlib import Path

import pytest

from slipway.controller.init.dockerfile import Instructions
from slipway.controller.init.start import Start, find_start

OTHERWISE = "exec uvicorn main:app"
BASE = "FROM python\nCOPY . .\n"
WAITING = "#!/bin/sh\nwhile ! nc -z db 5432; do\n  sleep 1\ndone\n"


def start(folder: Path, recipe: str, files: dict[str, str]) -> Start:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return find_start(folder, Instructions.parse(f"{BASE}{recipe}"), "", ("db", "redis"), OTHERWISE)


@pytest.mark.parametrize(
    ("recipe", "files", "command"),
    [
        # The image's own command does,
        ("CMD uvicorn main:app", {}, ""),
        ('CMD ["./start.sh"]', {"start.sh": "alembic upgrade head\nuvicorn main:app\n"}, ""),
        ('CMD ["fastapi", "run"]', {"other.sh": WAITING}, ""),
        ('CMD ["./start.sh"]', {"start.sh": "nc -z $DB_HOST 5432\nuvicorn main:app\n"}, ""),
        ('CMD ["./start.sh"]', {"start.sh": "# for the db\nuvicorn main:app\n"}, ""),
        ("CMD gunicorn main:app --reload-engine auto", {}, ""),
        # but for one that watches the code,
        ('CMD ["uvicorn", "main:app", "--reload", "--port", "80"]', {}, "exec uvicorn main:app --port 80"),
        ("CMD fastapi dev main.py --host 0.0.0.0", {}, "exec fastapi run main.py --host 0.0.0.0"),
        ("ENTRYPOINT uvicorn main:app --reload --reload-dir src", {}, "exec uvicorn main:app"),
        ('CMD ["bash", "-c", "alembic upgrade head && uvicorn main:app --reload"]', {}, "exec uvicorn main:app"),
        ("CMD python run.py --reload", {}, OTHERWISE),
        # waits for a service of Compose,
        ("CMD ./start.sh", {"start.sh": f"{WAITING}uvicorn main:app\n"}, "exec uvicorn main:app"),
        ("CMD /app/start.sh", {"bin/start.sh": f"{WAITING}exec uvicorn \\\n  main:app \\\n --port 80"}, "exec uvicorn main:app --port 80"),
        ("CMD ./start.sh", {"start.sh": f"{WAITING}cd src\nexport A=b\nuvicorn x:y &\n"}, "cd src && export A=b && exec uvicorn x:y"),
        ("CMD ./start.sh", {"start.sh": f"{WAITING}uvicorn main:app --port $MINE\n"}, OTHERWISE),
        ("CMD ./start.sh", {"start.sh": f"{WAITING}uvicorn main:app --port ${{PORT:-80}}\n"}, "exec uvicorn main:app --port ${PORT:-80}"),
        ("CMD ./start.sh", {"start.sh": f"{WAITING}alembic upgrade head && uvicorn main:app\n"}, "exec uvicorn main:app"),
        ('ENTRYPOINT ["/entry"]\nCMD ["gunicorn", "main:app"]', {"entry": f'{WAITING}exec "$@"\n'}, "exec gunicorn main:app"),
        ("CMD ./start.sh", {"start.sh": "HOST='db'\nnc -z $HOST 5432\n"}, OTHERWISE),
        # starts a worker as well,
        ("CMD ./start.sh", {"start.sh": "celery -A x worker &\nuvicorn main:app\n"}, "exec uvicorn main:app"),
        ("CMD ./start.sh", {"start.sh": "# celery -A x worker &\nuvicorn main:app &\nwait\n"}, ""),
        ("CMD ./start.sh", {"start.sh": "celery -A x inspect && a &&\nuvicorn main:app\n"}, ""),
        # or is not there.
        ("", {}, OTHERWISE),
    ],
)  # fmt: skip
def test_the_servers_command(recipe: str, files: dict[str, str], command: str, tmp_path: Path) -> None:
    assert start(tmp_path, recipe, files).command == command


SUPERVISOR = """\
[supervisord]
nodaemon=true
[program:nginx]
command=/usr/sbin/nginx -g "daemon off;"
[program:api]
directory=/srv ; here
command=uvicorn
  main:app --port 8000
[program:mail-worker]
command=celery -A x worker
"""


def test_a_supervisords_programs_are_the_server_and_processes(tmp_path: Path) -> None:
    found = start(tmp_path, 'CMD ["/usr/bin/supervisord", "-c", "/x"]', {"docker/supervisord.conf": SUPERVISOR})
    assert found.command == "cd /srv && exec uvicorn main:app --port 8000"
    assert "nginx serves have to come from the app" in found.reason
    assert [(each.name, each.command) for each in found.processes] == [("mail_worker", "exec celery -A x worker")]
