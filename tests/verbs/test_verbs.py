"""Every verb of the Makefile, for real, one after the other on one host, each looked at from outside."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.verbs.conftest import Checkout, ask, docker
from tools.checkout import ROOT

GREETED = 'app.title = "Changed"\n'


def release(checkout: Checkout) -> str:
    """The release that answers."""
    live: str = ask(f"{checkout.url}/version")["release"]
    return live


@pytest.fixture(scope="session")
def releases() -> dict[str, str]:
    """The releases that were live, by what made them so."""
    return {}


def test_help_lists_every_verb(checkout: Checkout) -> None:
    listed = checkout.make("help")
    assert all(f"make {verb} " in listed for verb in ("up", "deploy", "rollback", "down"))


def test_up(checkout: Checkout, releases: dict[str, str]) -> None:
    printed = checkout.make("up")
    assert f"Serving:  {checkout.url}\n" in printed
    assert ask(f"{checkout.url}/readyz")["status"] == "ok"
    releases["up"] = release(checkout)


@pytest.mark.catalogue  # tests/tools/test_makefile.py: make calls the tool, as test_installed.py does
def test_deploy(checkout: Checkout, releases: dict[str, str]) -> None:
    with (checkout.root / "app/main.py").open("a") as code:
        code.write(f"\n{GREETED}")
    checkout.make("deploy")
    assert ask(f"{checkout.url}/openapi.json")["info"]["title"] == "Changed"
    releases["deploy"] = release(checkout)
    assert releases["deploy"] != releases["up"]


@pytest.mark.catalogue  # tests/tools/test_makefile.py: make calls the tool, as test_installed.py does
def test_status(checkout: Checkout, releases: dict[str, str]) -> None:
    assert releases["deploy"] in checkout.make("status")


@pytest.mark.catalogue  # tests/tools/test_makefile.py: make calls the tool, as test_installed.py does
def test_rollback(checkout: Checkout, releases: dict[str, str]) -> None:
    checkout.make("rollback")
    assert release(checkout) == releases["up"]


@pytest.mark.catalogue  # test_installed.py provisions a host that is up, too
def test_provision_deploys_the_working_tree(checkout: Checkout) -> None:
    checkout.make("provision")
    assert ask(f"{checkout.url}/openapi.json")["info"]["title"] == "Changed"


@pytest.mark.catalogue  # test_try measures under load, too
def test_demo(checkout: Checkout) -> None:
    before = release(checkout)
    printed = checkout.make("demo", "ARGS=--smoke")
    assert page(printed).is_file()
    assert release(checkout) == before


@pytest.mark.catalogue  # tests/contract does the same
def test_image_and_contract(checkout: Checkout) -> None:
    image = checkout.make("image").split()[-1]
    assert docker("image", "inspect", "--format={{.Id}}", f"slipway-app-{checkout.name}:latest") == image
    assert "all that can be seen is kept" in checkout.make("contract", f"IMAGE={image}")


def test_try(checkout: Checkout) -> None:
    image = f"slipway-app-{checkout.name}:latest"
    assert page(checkout.make("try", f"IMAGE={image}", "PATHS=/readyz /version", "ARGS=--smoke --host local")).is_file()


@pytest.mark.catalogue  # nobody deploys by it; tests/labs reads what it measures
def test_bench(checkout: Checkout) -> None:
    """With deploys, and with a database and a broker, which provisioning has to install."""
    printed = checkout.make("bench", "ARGS=--smoke --host local")
    assert "requests/s: Slipway" in printed
    assert "pictures made by: queue" in printed
    assert page(printed).is_file()


@pytest.mark.catalogue
def test_github(checkout: Checkout, tmp_path: Path) -> None:
    """With the stand-in for GitHub of tests/github, and the local host's own keys. It builds cosign, so it is for the long run."""
    inventories = checkout.root / "ansible/inventories"
    shutil.copytree(inventories / "local", inventories / "rehearsal", dirs_exist_ok=True)
    state = tmp_path / "gh.json"
    state.write_text(json.dumps({"plan": "public", "environments": {}, "secret": {}, "variable": {}, "calls": []}))
    (tmp_path / "gh").symlink_to(ROOT / "tests/github/gh")
    path = f"{tmp_path}:{checkout.environment['PATH']}"
    checkout.make("github", "ENV=rehearsal", PATH=path, GH_STATE=str(state), XDG_STATE_HOME=str(tmp_path))
    known_hosts = (checkout.root / ".cache/hosts/local/known_hosts").read_text()
    assert known_hosts.split()[2] in state.read_text()


def test_dev(checkout: Checkout) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        ["make", "dev", f"DEV_PORT={port}"],
        cwd=checkout.root,
        env=checkout.environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                assert ask(f"http://127.0.0.1:{port}/readyz")["status"] == "ok"
                return
            except OSError:
                assert server.poll() is None, "make dev ended"
                assert time.monotonic() < deadline, "make dev does not answer"
                time.sleep(0.3)
    finally:
        # To make alone, which hands it on: a second SIGTERM during the first one's handler blocks uvicorn's reloader for ever
        # (it takes the lock of a threading.Event there; 2 of 15 tries).
        server.terminate()
        try:
            server.wait(20)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)


@pytest.mark.catalogue
def test_compose(checkout: Checkout) -> None:
    """All of it is brought up by tests/compose; on a new machine Compose itself is built here."""
    assert "nginx:" in checkout.make("compose", "ARGS=config")


@pytest.mark.parametrize(
    ("verb", "step"),
    [
        ("lint", "playbooks"),
        ("test", "molecule_default"),
        ("test-all", "molecule_all_default"),
        ("test-fast", "unit"),
        ("test-pipeline", "pipeline_all"),
        ("test-kubernetes", "kubernetes"),
        ("test-swarm", "swarm"),
    ],
)
def test_what_the_checks_would_run(checkout: Checkout, verb: str, step: str) -> None:
    """The steps themselves are what runs this test, or its neighbours."""
    assert step in checkout.make(verb, "ARGS=--list").split()


def test_down(checkout: Checkout) -> None:
    assert f"slipway-host-{checkout.name}-local" in checkout.containers()
    checkout.make("down")
    assert checkout.containers() == ""


def page(printed: str) -> Path:
    """The page that demo and try name in their last lines."""
    return Path(re.findall(r"^Page: (.*)$", printed, re.MULTILINE)[-1])
