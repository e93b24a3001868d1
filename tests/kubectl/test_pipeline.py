"""The workflow's steps for an environment in a cluster: by the kubeconfig that its secret has."""

import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.kubectl.conftest import Shop, image

KUBECONFIG = "apiVersion: v1\nkind: Config\ncurrent-context: deployer\n"


@pytest.fixture(autouse=True)
def workflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A run of a workflow. Returns its page."""
    for name in os.environ:
        if name.startswith(("GITHUB_", "SLIPWAY_", "REGISTRY_", "KUBECONFIG")):
            monkeypatch.delenv(name)
    page = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    monkeypatch.setenv("SLIPWAY_KUBECONFIG", KUBECONFIG)
    return page


def test_a_deploy_is_by_the_secrets_context_and_is_written_down(shop: Shop, workflow: Path) -> None:
    status, printed = shop.slipway("pipeline", "deploy", "production", image(1))
    assert status == 0, printed
    assert "$ kubectl --context=deployer --namespace=shop rollout status deployment/web" in printed
    assert "KUBECONFIG" not in os.environ
    (live,) = {each["metadata"]["labels"]["app.kubernetes.io/version"] for each in templates(shop)}
    assert f"### production: `{live}` is live" in workflow.read_text()
    assert shop.slipway("pipeline", "staged", "production", image(1))[0] == 0
    status, printed = shop.slipway("pipeline", "staged", "production", image(2))
    assert (status, f"production serves {image(1)}" in printed) == (1, True)


def templates(shop: Shop) -> list[dict[str, dict[str, dict[str, str]]]]:
    """Return the pods' templates."""
    return [each["spec"]["template"] for each in shop.state["replicasets"]]


def test_a_failure_is_red_and_its_cause_is_on_the_runs_page(shop: Shop, workflow: Path) -> None:
    shop.set(fails={"rollout status deployment/web": "::error::```no"})
    status, printed = shop.slipway("pipeline", "deploy", "production", image(1))
    assert status == 1
    # What an app logs is no command to the workflow.
    stopped, _, rest = printed.partition("::stop-commands::")
    token = rest.splitlines()[0]
    assert "::error::" not in stopped
    assert "::error::" not in rest.partition(f"::{token}::")[2]
    assert "error: production was not deployed: the cause is above, and on the run's page" in printed
    assert "````\ndeploy of " in workflow.read_text()
    assert "Undone: web removed: there was none before." in workflow.read_text()


def test_a_rollback(shop: Shop, workflow: Path) -> None:
    for number in (1, 2):
        assert shop.slipway("pipeline", "deploy", "production", image(number))[0] == 0
    assert shop.slipway("pipeline", "rollback", "production", "")[0] == 0
    assert shop.images()["web"] == image(1)
    assert "- rolled back in " in workflow.read_text()


@pytest.fixture
def url() -> Iterator[str]:
    """An app that is ready, and tells a release."""

    class App(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"release": "another"}')

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), App)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_public_url_has_to_serve_what_is_live(shop: Shop, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.controller.pipeline.smoke.PAUSE_SECONDS", 0)
    monkeypatch.setenv("SLIPWAY_URL", url)
    assert shop.slipway("pipeline", "deploy", "production", image(1))[0] == 0
    status, printed = shop.slipway("pipeline", "smoke", "production")
    assert (status, f"{url} answers with the release another" in printed) == (1, True)


@pytest.mark.parametrize(
    ("secret", "rule"),
    [
        ("", "no SLIPWAY_KUBECONFIG. Set this secret of the environment production"),
        ("apiVersion: v1\n", "SLIPWAY_KUBECONFIG is no kubeconfig with a current-context"),
        ("{", "SLIPWAY_KUBECONFIG is no kubeconfig with a current-context"),
    ],
)
@pytest.mark.parametrize(
    "step", [["deploy", "production", image(1)], ["rollback", "production"], ["smoke", "production"]]
)
def test_a_secret_that_is_missing_or_wrong(
    shop: Shop, secret: str, rule: str, step: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_KUBECONFIG", secret)
    monkeypatch.setenv("SLIPWAY_URL", "http://127.0.0.1:9")
    status, printed = shop.slipway("pipeline", *step)
    assert (status, rule in printed) == (1, True)
    assert shop.state["calls"] == []
