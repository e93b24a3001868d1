"""The image by itself, in a container, without Slipway."""

import json
import subprocess
import threading
import time

import httpx
import pytest

from tests.image.conftest import DOCKER, Run, docker


def wait_for(container: str, url: str, path: str = "/readyz") -> httpx.Response:
    limit = time.monotonic() + 40
    while time.monotonic() < limit:
        try:
            answer = httpx.get(url + path)
            if answer.status_code == 200:
                return answer
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    logs = subprocess.run([DOCKER, "logs", container], capture_output=True, text=True, check=False)
    raise AssertionError(f"no answer from {path}:\n{logs.stdout}{logs.stderr}")


def test_it_serves_by_itself(run: Run) -> None:
    with run("--env=SLIPWAY_RELEASE=r1", "--env=SLIPWAY_COMMIT=3f2a9c1") as (container, url):
        wait_for(container, url)
        version = httpx.get(f"{url}/version").json()
        assert (version["release"], version["commit"]) == ("r1", "3f2a9c1")
        slug = httpx.post(f"{url}/links", json={"url": "https://example.org/"}).json()["slug"]
        assert httpx.get(f"{url}/{slug}").status_code == 307
        health = ""
        for _ in range(30):
            health = docker("inspect", "--format={{.State.Health.Status}}", container)
            if health == "healthy":
                break
            time.sleep(1)
        assert health == "healthy"


@pytest.mark.parametrize(
    ("options", "workers"),
    [
        (["--cpus=1"], 1),
        (["--cpus=1.5", "--env=WORKLOAD=io"], 3),
        (["--cpus=1", "--env=WEB_CONCURRENCY=3"], 3),
        (["--cpus=2", "--env=WORKLOAD=io", "--memory=256m"], 2),
    ],
)
def test_workers_follow_what_the_container_may_use(run: Run, options: list[str], workers: int) -> None:
    with run(*options) as (container, url):
        wait_for(container, url)
        assert httpx.get(f"{url}/version").json()["workers"] == workers


def test_a_request_in_flight_is_finished_on_stop(run: Run) -> None:
    with run() as (container, url):
        wait_for(container, url)
        answers: list[int] = []

        def slow() -> None:
            answers.append(httpx.get(f"{url}/slow?seconds=2", timeout=10).status_code)

        thread = threading.Thread(target=slow)
        thread.start()
        time.sleep(0.7)
        began = time.monotonic()
        docker("stop", "--time=20", container)
        thread.join()
        assert answers == [200]
        assert time.monotonic() - began < 8
        assert docker("inspect", "--format={{.State.ExitCode}}", container) == "0"


def test_it_runs_as_nobody_on_a_file_system_that_is_read_only(run: Run) -> None:
    options = [
        "--read-only",
        "--tmpfs=/tmp",
        "--env=STATE_DIRECTORY=/tmp/state",
        "--cap-drop=ALL",
        "--user=12345:12345",
    ]
    with run(*options) as (container, url):
        wait_for(container, url)
        assert docker("exec", container, "id", "-u") == "12345"


def test_its_own_user_is_not_root(image: str) -> None:
    config = json.loads(docker("inspect", "--format={{json .Config}}", image))
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert "8000/tcp" in config["ExposedPorts"]
    assert not any(setting.startswith(("WEB_CONCURRENCY=", "STATE_DIRECTORY=", "HOME=")) for setting in config["Env"])


def test_nothing_that_only_a_build_needs_is_in_it(image: str) -> None:
    programs = "cc gcc g++ make ld as uv uvx pip pip3 curl wget git"
    look = f"for name in {programs}; do command -v $name; done; ls -A /root /tmp /var/cache /var/lib/apt/lists /var/log; true"
    listed = docker("run", "--rm", "--entrypoint=/bin/sh", "--user=0", image, "-c", look)
    names = [line for line in listed.splitlines() if line and not line.endswith(":")]
    assert [name for name in names if name not in {".bashrc", ".profile"}] == []
    absent = docker(
        "run",
        "--rm",
        image,
        "python",
        "-c",
        "import importlib.util as u; print(u.find_spec('pip'), u.find_spec('pytest'))",
    )
    assert absent == "None None"
