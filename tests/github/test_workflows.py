"""What holds for the workflows that other repositories call, by the files alone."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.github.conftest import ROOT

FOLDER = ROOT / ".github/workflows"
CALLED = ("ci", "deploy", "rollback", "drift")
CALLERS = ("example-deploy", "example-operate")


def read(name: str) -> dict[Any, Any]:
    """Return a workflow. YAML reads its key `on` as true."""
    workflow: dict[Any, Any] = yaml.safe_load((FOLDER / f"{name}.yml").read_text())
    return workflow


def jobs(name: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the jobs of a workflow that have steps."""
    for job, values in read(name)["jobs"].items():
        if "steps" in values:
            yield f"{name}/{job}", values["steps"]


@pytest.mark.parametrize("name", CALLED)
def test_slipway_is_that_of_the_workflows_own_commit(name: str) -> None:
    """The commit behind the caller's `uses:` is the only one."""
    for job, steps in jobs(name):
        checkouts = [step["with"] for step in steps if step.get("uses", "").startswith("actions/checkout@")]
        own = {"repository": "${{ job.workflow_repository }}", "ref": "${{ job.workflow_sha }}", "path": "slipway"}
        (slipway,) = [each for each in checkouts if each["path"] == "slipway"]
        assert own.items() <= slipway.items(), job
        others = [each for each in checkouts if each["path"] != "slipway"]
        assert all(each["path"] == "repository" and not {"repository", "ref"} & set(each) for each in others), job
        assert all(each["persist-credentials"] is False for each in checkouts), job


@pytest.mark.parametrize("name", CALLED)
def test_slipway_is_installed_before_it_runs_and_nothing_else_is(name: str) -> None:
    for job, steps in jobs(name):
        scripts = [step.get("run", "") for step in steps]
        runs = [number for number, script in enumerate(scripts) if script.startswith("slipway pipeline")]
        if runs:
            assert scripts.index("tools/install") < min(runs), job
        assert not [script for script in scripts if re.search(r"\b(apt|apt-get|sudo|pip|curl)\b", script)], job


@pytest.mark.parametrize("name", CALLED)
def test_nothing_of_a_context_is_part_of_a_script(name: str) -> None:
    for job, steps in jobs(name):
        assert not [step["run"] for step in steps if "${{" in step.get("run", "")], job


@pytest.mark.parametrize("name", ["deploy", "rollback"])
def test_a_step_that_reaches_hosts_reaches_a_cluster_as_well(name: str) -> None:
    envs = [step.get("env", {}) for _, steps in jobs(name) for step in steps]
    keys = [env for env in envs if "SLIPWAY_SSH_KEY" in env or "SLIPWAY_KUBECONFIG" in env]
    assert keys
    for env in keys:
        ssh, kubeconfig = (" ".join(env[f"SLIPWAY_{secret}"].split()) for secret in ("SSH_KEY", "KUBECONFIG"))
        assert ssh.replace("SSH_KEY", "KUBECONFIG") == kubeconfig


def test_an_environment_in_a_cluster_needs_no_known_hosts() -> None:
    for name in ("staging", "production"):
        known = f"vars.SLIPWAY_KNOWN_HOSTS_{name.upper()} != ''"
        assert f"({known} || contains(vars.SLIPWAY_KUBERNETES, '{name}'))" in read("deploy")["jobs"][name]["if"]
    # Production does not go before a staging that is in a cluster.
    assert "!contains(vars.SLIPWAY_KUBERNETES, 'staging')" in read("deploy")["jobs"]["production"]["if"]


def test_a_pull_request_meets_no_secret() -> None:
    assert "secrets" not in (FOLDER / "ci.yml").read_text().replace("it has no secret", "")
    (call,) = [job for job in read("deploy")["jobs"].values() if "uses" in job]
    assert "secrets" not in call
    for name, job in read("deploy")["jobs"].items():
        if "${{ secrets." in str(job) and name not in {"staging", "production", "sbom"}:
            assert "github.event_name == 'push'" in job["if"], name
    needed = {name: job.get("needs", []) for name, job in read("deploy")["jobs"].items()}
    assert needed["sbom"] == "publish"
    assert all(
        "needs.cosign.result == 'success'" in read("deploy")["jobs"][name]["if"] for name in ("staging", "production")
    )
    assert "github.event_name != 'pull_request'" in read("deploy")["jobs"]["cosign"]["if"]


@pytest.mark.parametrize("name", CALLED)
def test_a_called_workflow_runs_by_no_event_of_its_own(name: str) -> None:
    assert set(read(name)[True]) == {"workflow_call"}


@pytest.mark.parametrize("name", CALLERS)
def test_the_example_calls_as_an_adopter_does(name: str) -> None:
    template = (ROOT / f"slipway/templates/workflows/{name.removeprefix('example-')}.yml.j2").read_text()
    own = read(name)
    for job, values in own["jobs"].items():
        called = Path(values["uses"]).name
        assert f"/.github/workflows/{called}@" in template, job
        assert set(values) <= {"if", "permissions", "uses", "secrets", "with"}
    assert own["name"] == name.removeprefix("example-")
