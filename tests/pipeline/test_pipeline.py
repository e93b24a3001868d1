"""The story of an adopter's repository: its workflows, which call Slipway's, run by act, against a real registry and real hosts."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.pipeline.conftest import Environment
from tests.pipeline.github import ROOT, SLIPWAY, GitHub, Repository, Run, run

RATE = 50
"""Requests a second during the runs: enough for the watch to judge."""
SLIPWAY_PIPELINE = (ROOT / ".venv/bin/slipway", "pipeline")
PATHS = "200 / 200 /healthz 200 /version 404 /none"
SHORT_SECONDS = 0.5
"""Steps that take less are not printed."""
INSTALLED = "from importlib.metadata import *; [print(d.name, d.version) for d in distributions()]"
"""What an image has of Python's packages, by its own word."""
CAUSE = "broken on purpose"
OWN_TESTS = ("test_settings.py", "test_sizing.py")
IMAGE_TEST = """
from tests.image.conftest import docker


def test_its_user_is_not_root(image: str) -> None:
    assert docker("image", "inspect", "--format", "{{.Config.User}}", image) == "10001:10001"
"""
BROKEN = f'''

if os.environ.get("ENVIRONMENT") == "production" and "INVOCATION_ID" in os.environ:
    raise LookupError("{CAUSE}\\n::error::Error: said by the app")
'''
"""At the end of the app's module: what CI and staging cannot see. CI has production's settings, and no systemd."""


@contextmanager
def no_failed_request(environment: Environment, folder: Path) -> Iterator[None]:
    """Load while the block runs, none of which may fail."""
    load = (sys.executable, "-m", "labs.load")
    place = ("--directory", folder)
    run(*load, "start", "load", *place, "--url", environment.url, "--rate", str(RATE), "--paths", PATHS)
    ended = False
    try:
        yield
        ended = True
    finally:
        limits = ("--min-rate", str(RATE * 0.6)) if ended else ("--min-rate", "0", "--max-failures", "1000000")
        summary = run(*load, "stop", "load", *place, *limits)
    print(f"load on {environment.name}: {' '.join(summary.split())}")


def show(title: str, finished: Run) -> None:
    """Print what took how long: with -s, and in the log of `make test-pipeline`."""
    print(f"\n{title}: {finished.seconds:.0f} s to its end")
    for name, job in finished.jobs().items():
        print(f"  {name}, from {job.began:.0f} to {job.ended:.0f} s")
        for step, seconds in job.steps.items():
            if seconds >= SHORT_SECONDS:
                print(f"    {seconds:5.1f} s  {step}")


def live_after(pushed: Run, commit: str, environments: Iterable[Environment]) -> dict[str, float]:
    """Wait until a run has ended. Returns the seconds after the push at which each environment answered with its commit."""
    found: dict[str, float] = {}
    while pushed.process.poll() is None:
        for environment in environments:
            if environment.name not in found and environment.version()["commit"] == commit:
                found[environment.name] = time.monotonic() - pushed.began
        time.sleep(0.5)
    return found


def normal(package: str) -> str:
    """A package's name as an index has it, and its version."""
    return re.sub(r"[-_.]+", "-", package).lower()


def image_of(environment: Environment) -> str:
    """What an environment runs, by digest."""
    return str(environment.status()["image_name"])


def test_a_push_is_live_everywhere_and_no_request_failed(
    github: GitHub, environments: dict[str, Environment], tmp_path: Path
) -> None:
    repository, production = github.repository, environments["production"]
    before = production.version()
    repository.write("shop/pushed.py", '"""Something new."""\n')
    with no_failed_request(production, tmp_path):
        pushed = github.push("Something new")
        commit = repository.git("rev-parse", "HEAD")
        live = live_after(pushed, commit, environments.values())
        green = pushed.wait()
    show("a code-only change", pushed)
    assert green, pushed.output
    print("live on " + ", ".join(f"{name} {seconds:.1f} s after the push" for name, seconds in live.items()))
    assert before["commit"] != commit
    for environment in environments.values():
        assert environment.version()["commit"] == commit
        assert image_of(environment).startswith(f"{github.variables['SLIPWAY_REGISTRY']}@sha256:")
    # The tested image is the running one: known by its id on the host, by its digest in the registry.
    tested = re.findall(r"::set-output:: id=(sha256:\w+)", pushed.output)
    assert {environment.status()["image"] for environment in environments.values()} == set(tested)
    status = production.status()
    assert status["by"] == "alice by https://github.com/example/shop/actions/runs/1"
    page = pushed.summary
    for told in (
        status["live"],
        image_of(production),
        "| start |",
        "failed requests: 0 of",
        "to go back",
        "smoke test",
    ):
        assert told in page, page


@pytest.mark.catalogue
def test_what_is_in_the_image_is_told_by_a_list_that_is_signed(
    github: GitHub, environments: dict[str, Environment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = image_of(environments["production"])
    for name, value in github.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{ROOT}/.cache/bin:{os.environ['PATH']}")
    contents = (*SLIPWAY_PIPELINE, "contents", image)
    listed = run(*contents).splitlines()
    inside = "dpkg-query -W -f '${Package} ${Version}\\n'; python -c '" + INSTALLED + "'"
    packages = run("docker", "run", "--rm", "--network=none", "--entrypoint=sh", image, "-c", inside).splitlines()
    assert len(packages) > 50
    assert {normal(package) for package in packages} <= {normal(package) for package in listed}
    run("env", "COSIGN_PASSWORD=", ROOT / ".cache/bin/cosign", "generate-key-pair", cwd=tmp_path)
    monkeypatch.setenv("COSIGN_PUBLIC_KEY", (tmp_path / "cosign.pub").read_text())
    refused = subprocess.run(contents, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert refused.returncode != 0
    assert "has no list that the key of this repository has signed" in refused.stderr


def test_what_breaks_in_production_is_red_and_the_old_one_serves(
    github: GitHub, environments: dict[str, Environment], tmp_path: Path
) -> None:
    production = environments["production"]
    before = production.version()
    main = github.repository.folder / "shop/main.py"
    main.write_text(main.read_text() + BROKEN)
    with no_failed_request(production, tmp_path):
        pushed = github.push("Breaks where ENVIRONMENT is production")
        green = pushed.wait()
    show("a change that breaks production", pushed)
    assert not green
    assert production.version()["release"] == before["release"]
    assert environments["staging"].version()["commit"] == github.repository.git("rev-parse", "HEAD")
    assert f"LookupError: {CAUSE}" in pushed.summary, pushed.output
    assert f"`{before['release']}` stays live" in pushed.summary
    # What the app prints is no command to the workflow.
    assert "said by the app" in pushed.output
    assert not [entry for entry in pushed.entries if entry.get("command") == "error"]


def test_an_older_commit_does_not_go_over_a_newer_one(
    github: GitHub, environments: dict[str, Environment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging, older = environments["staging"], image_of(environments["production"])
    before = staging.version()["release"]
    page = tmp_path / "page"
    monkeypatch.setenv("SLIPWAY_SSH_KEY", github.secrets["SLIPWAY_SSH_KEY_STAGING"])
    monkeypatch.setenv("SLIPWAY_KNOWN_HOSTS", staging.known_hosts)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    run(*SLIPWAY_PIPELINE, "deploy", "staging", older, cwd=github.repository.folder)
    assert "staging: superseded" in page.read_text()
    assert staging.version()["release"] == before


def test_rollback_by_the_workflow(github: GitHub, environments: dict[str, Environment], tmp_path: Path) -> None:
    production = environments["production"]
    target = production.status()["rollback_target"]
    with no_failed_request(production, tmp_path):
        rollback = github.dispatch("operate.yml", environment="production", release="")
        green = rollback.wait()
    show("a rollback", rollback)
    assert green, rollback.output
    assert production.version()["release"] == target
    assert f"`{target}` is live" in rollback.summary


def test_only_what_staging_runs_goes_to_production_by_hand(
    github: GitHub, environments: dict[str, Environment]
) -> None:
    before = environments["production"].version()["release"]
    older = environments["production"].status()["image_name"]
    by_hand = github.dispatch("deploy.yml", image=f"{github.variables['SLIPWAY_REGISTRY']}@sha256:{'0' * 64}")
    assert not by_hand.wait()
    assert "is not signed by the key of this repository" in by_hand.output
    assert image_of(environments["staging"]) != older
    assert environments["production"].version()["release"] == before


def test_a_run_that_dies_is_told_by_the_next_one_which_is_green(
    github: GitHub, environments: dict[str, Environment], tmp_path: Path
) -> None:
    staging, production = environments["staging"], environments["production"]
    back = github.dispatch("operate.yml", environment="staging", release="")
    assert back.wait(), back.output
    good = image_of(staging)
    with no_failed_request(production, tmp_path):
        killed = github.dispatch("deploy.yml", image=good)
        while killed.process.poll() is None and production.status()["state"] != "deploying":
            time.sleep(0.1)
        assert killed.process.poll() is None, killed.output
        killed.kill()
        by_hand = github.dispatch("deploy.yml", image=good)
        green = by_hand.wait()
    show("production by hand, after a run that died", by_hand)
    assert green, by_hand.output
    assert image_of(production) == good
    assert production.version()["commit"] == staging.version()["commit"]
    assert re.search(
        rf"before, on {production.host}: .* by alice by https://\S+/runs/{github.runs - 1} ", by_hand.summary
    )


@pytest.mark.catalogue  # in tests/verbs a person deploys; the pushes deploy by digest
def test_a_person_deploys_from_a_laptop_by_digest(
    github: GitHub, environments: dict[str, Environment], monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = environments["staging"]
    image, host = image_of(staging), ROOT / f".cache/hosts/{staging.host}"
    variables = {
        "ansible_ssh_private_key_file": f"{host}/deploy_ed25519",
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={host}/known_hosts -o StrictHostKeyChecking=yes",
        "release_image": image,
    }
    folder = github.repository.folder
    # Another setting, so that it is another release.
    settings = folder / "deploy/staging/settings.env"
    settings.write_text(settings.read_text() + "SERIAL=2\n")
    monkeypatch.setenv("USER", "bob")
    monkeypatch.delenv("GITHUB_ACTOR", raising=False)
    run(ROOT / ".venv/bin/slipway", "deploy", "staging", "--", "-e", json.dumps(variables), cwd=folder)
    status = staging.status()
    assert status["image_name"] == image
    assert status["by"].startswith("bob@")


def test_the_example_calls_the_workflows_of_its_own_repository(tmp_path: Path, github: GitHub) -> None:
    """A pull request: tested, built, checked against the contract. What is after that is the same for everybody."""
    example = Repository.of_slipway(tmp_path / "example", SLIPWAY)
    # An app with few tests: those of the example run elsewhere.
    for name in ("app", "server", "image"):
        for file in (example.folder / "tests" / name).glob("test_*.py"):
            if file.name not in OWN_TESTS:
                file.unlink()
    example.write("tests/image/test_image.py", IMAGE_TEST)
    example.commit("A change")
    proposed = GitHub(example, example, tmp_path, {}, github.variables)
    pull_request = {"number": 7, "head": {"ref": "change"}, "base": {"ref": "main"}}
    checked = proposed.start("pull_request", "example-deploy.yml", {"pull_request": pull_request})
    green = checked.wait()
    show("a pull request of the example", checked)
    assert green, checked.output
    assert set(checked.jobs()) == {"test", "image"}
    assert "test_its_user_is_not_root" in checked.output
