"""Images that listen on a port by themselves, as their authors wrote them: each keeps the contract unchanged."""

import subprocess
from pathlib import Path

import pytest

from slipway.contract.lines import LINES
from tests.contract.conftest import Checked, build, check

READY = ("-e", "app_ready_path=/health")
APP = """
from fastapi import FastAPI
app = FastAPI()
@app.get("/health")
def health() -> str:
    return "ready"
"""
NODE = """
require("http").createServer((_, answer) => answer.end("ready")).listen(process.env.PORT || 8000)
process.on("SIGTERM", () => process.exit(0))
"""
GO = """
package main

import ("fmt"; "net/http"; "os")

func main() {
    http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ready") })
    http.ListenAndServe(":" + os.Getenv("PORT"), nil)
}
"""
UVICORN = '"uvicorn", "main:app"'
GUNICORN = '"gunicorn", "--worker-class=uvicorn.workers.UvicornWorker"'


@pytest.fixture(scope="session")
def python(third_party_images: str) -> str:
    """An image with uvicorn, gunicorn and tini, and an app."""
    lines = APP.strip().replace("\n", "\\n").replace('"', '\\"')
    return build("ports", f'FROM {third_party_images}:port\nWORKDIR /srv/app\nRUN printf "{lines}\\n" >main.py\n')


def check_variant(python: str, name: str, *lines: str, options: tuple[str, ...] = ()) -> Checked:
    return check(build(f"ports-{name}", "\n".join((f"FROM {python}", *lines))), *READY, *options)


def slow(*values: object) -> object:
    """Mark a case that only the whole catalogue runs."""
    return pytest.param(*values, marks=pytest.mark.catalogue)


@pytest.mark.parametrize(
    ("name", "lines", "port"),
    [
        ("tini", [f'CMD ["tini", "--", {GUNICORN}, "-b", "0.0.0.0:8000", "main:app"]'], 8000),
        slow("uvicorn", [f'CMD [{UVICORN}, "--host", "0.0.0.0", "--workers", "2"]'], 8000),
        slow("loopback", [f'CMD [{UVICORN}, "--host", "127.0.0.1"]'], 8000),
        slow("six", [f'CMD [{UVICORN}, "--host", "::"]'], 8000),
        slow("late", ["CMD sleep 8; exec uvicorn main:app --host 0.0.0.0 --port $PORT"], 8000),
        # The Dockerfile of FastAPI's documentation exposes nothing.
        slow("undeclared", [f'CMD [{UVICORN}, "--host", "0.0.0.0", "--port", "80"]'], 80),
        slow("eighty", ["EXPOSE 80", f'CMD [{UVICORN}, "--host", "0.0.0.0", "--port", "80"]'], 80),
        slow("several", ["EXPOSE 9000 9100", f'CMD [{UVICORN}, "--host", "0.0.0.0", "--port", "9100"]'], 9100),
        slow("env", ["ENV PORT=3000", "CMD exec uvicorn main:app --host 0.0.0.0 --port $PORT"], 3000),
    ],
)
def test_an_image_that_listens_on_a_port_keeps_the_contract(
    python: str, name: str, lines: list[str], port: int
) -> None:
    checked = check_variant(python, name, *lines)
    assert (checked.status, checked.broken) == (0, []), checked.output
    assert f"on port {port}, on which it listens by itself" in checked.output


def test_the_handed_socket_is_preferred(python: str) -> None:
    """One command that takes the handed socket, and listens on a port without one."""
    line = "CMD exec uvicorn main:app ${LISTEN_FDS:+--fd 3} --host 0.0.0.0 --port ${PORT:-8000}"
    checked = check_variant(python, "both", line)
    assert checked.states[LINES["socket"]] == "ok", checked.output
    assert "listens by itself" not in checked.output


def test_a_port_that_neither_image_nor_command_names_is_told(python: str) -> None:
    code = "import uvicorn; uvicorn.run('main:app', host='0.0.0.0', port=9000)"
    checked = check_variant(python, "other", f'CMD ["python3", "-c", "{code}"]')
    assert checked.broken == [LINES["socket"]]
    assert "It listens on 0.0.0.0:9000, and its port is 8000" in checked.output
    assert "set `app_port: 9000`" in checked.output


def test_a_server_that_runs_on_below_a_shell_is_named(python: str) -> None:
    checked = check_variant(python, "shell", f"CMD {GUNICORN.replace(',', '')} -b 0.0.0.0:8000 main:app; true")
    assert checked.status == 0, checked.output
    assert "SIGTERM ended the first process, a shell" in checked.output
    assert "end the script in `exec`" in checked.output


@pytest.mark.catalogue
def test_app_port_and_app_command_win_over_the_image(python: str) -> None:
    command = "app_command=exec uvicorn main:app --host 0.0.0.0 --port $PORT"
    checked = check_variant(python, "won", 'CMD ["false"]', options=("-e", "app_port=9000", "-e", command))
    assert checked.status == 0, checked.output
    assert "on port 9000" in checked.output


@pytest.mark.catalogue
def test_a_go_program_on_its_port(python: str, tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text(GO)
    go = ["go", "build", "-o", "serve", "main.go"]
    environment = {"CGO_ENABLED": "0", "PATH": "/usr/local/go/bin:/usr/bin:/bin", "HOME": str(tmp_path)}
    subprocess.run(go, cwd=tmp_path, env=environment, check=True)
    (tmp_path / "Dockerfile").write_text('FROM debian:trixie-slim\nCOPY serve /srv/serve\nCMD ["/srv/serve"]\n')
    checked = check(build("ports-go", None, tmp_path), *READY)
    assert (checked.status, checked.broken) == (0, []), checked.output
    assert "on port 8000" in checked.output


@pytest.mark.catalogue
def test_a_node_program_on_its_port(tmp_path: Path) -> None:
    (tmp_path / "serve.js").write_text(NODE)
    (tmp_path / "Dockerfile").write_text(
        "FROM debian:trixie-slim\n"
        "RUN apt-get update && apt-get install -y --no-install-recommends nodejs && rm -rf /var/lib/apt/lists/*\n"
        'COPY serve.js /srv/\nEXPOSE 3000\nCMD ["node", "/srv/serve.js"]\n'
    )
    checked = check(build("ports-node", None, tmp_path), *READY)
    assert (checked.status, checked.broken) == (0, []), checked.output
    assert "on port 3000" in checked.output
