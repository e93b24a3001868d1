"""What the steps of the workflows say of hosts, without hosts."""

import json
import os
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from slipway.controller import image_site, project_image
from slipway.controller.build import Build
from slipway.controller.pipeline import PipelineError, deploys, hosts, images, registry, report, runner, smoke
from slipway.controller.pipeline.connection import Connection
from slipway.controller.project import Project
from tools.checkout import ROOT

HEAD, PARENT = (
    subprocess.run(["git", "rev-parse", name], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    for name in ("HEAD", "HEAD~1")
)
DIGEST = f"127.0.0.1:5000/app@sha256:{'a' * 64}"


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of a workflow or a person."""
    for name in os.environ:
        if name.startswith(("GITHUB_", "SLIPWAY_", "COSIGN_", "REGISTRY_")):
            monkeypatch.delenv(name)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with an environment."""
    hosts_file = tmp_path / "shop/deploy/production/hosts.yml"
    hosts_file.parent.mkdir(parents=True)
    hosts_file.write_text("app: {hosts: {www1: {ansible_host: 192.0.2.1}}}\n")
    return Project.find(tmp_path / "shop")


def status(release: str = "20261122T105851-3f2a9c1", **other: Any) -> dict[str, Any]:
    """What a host says, as far as the steps read it."""
    pair = {"new": {"failed": 0, "attempts": 40}, "old": {"failed": 1, "attempts": 400}}
    return {
        "live": release,
        "commit": HEAD,
        "image_name": DIGEST,
        "state": "healthy",
        "lock": None,
        "history": [{"what": "deploy", "release": release, "by": "alice", "ended": "done"}],
        "releases": [
            {
                "release": release,
                "request": {"by": "bob"},
                "phases": [
                    {"name": "start", "seconds": 1.0},
                    {"name": "watch", "seconds": 4.0, "samples": {"traffic": pair, "probes": pair}},
                ],
            }
        ],
        "config": {"ready_path": "/readyz", "version_path": "/version"},
    } | other


def slipway(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a workflow does."""
    command = [str(ROOT / ".venv/bin/slipway"), "pipeline", *arguments]
    return subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_an_older_commit_is_superseded_if_all_hosts_have_a_newer_one() -> None:
    assert hosts.newer(ROOT, PARENT, {"a": status(), "b": status()}) == HEAD
    assert hosts.newer(ROOT, HEAD, {"a": status(), "b": status()}) == ""
    assert hosts.newer(ROOT, PARENT, {"a": status(), "b": status(commit=PARENT)}) == ""
    assert hosts.newer(ROOT, PARENT, {"a": status(commit="0" * 40)}) == ""
    assert hosts.newer(ROOT, "", {"a": status()}) == ""


def test_the_report_tells_phases_failed_requests_and_what_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = {"a": status()}, {"a": status("20261122T110000-0000000")}
    summary = report.done("production", before, after, image=DIGEST, seconds=14.2)
    for told in (
        "`20261122T110000-0000000` is live",
        "| start | watch |",
        "5.0 s on the host, by bob",
        "1 of 440",
        "14 s",
        DIGEST,
        "by alice ended done",
        "slipway rollback production",
    ):
        assert told in summary
    assert "by hand" not in summary
    monkeypatch.setenv("SLIPWAY_PRODUCTION", "by-hand")
    assert "by hand" in report.done("staging", before, after, image=DIGEST, seconds=14)


def test_the_report_shows_the_cause_and_nothing_in_it_ends_its_block() -> None:
    log = "TASK [...]\nok: [a]\nfatal: [a]: FAILED! =>\n  msg: |-\n    it crashed\n````\n# not a title\n"
    summary = report.failed("production", {"a": status()}, log)
    assert "it crashed" in summary
    assert "stays live" in summary
    assert "ok: [a]" not in summary
    assert summary.count("`````") == 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"state": "interrupted"}, "an activation was cut off"),
        ({"lock": {"release": "20261122T105851-3f2a9c1", "by": "bob"}}, "by bob was under way"),
        ({"history": []}, "stays live"),
    ],
)
def test_the_report_tells_what_the_run_before_has_left(changes: dict[str, Any], told: str) -> None:
    assert told in report.failed("x", {"a": status(**changes)}, "")


def test_production_by_hand_takes_what_staging_runs(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploys, "statuses", lambda *_: {"a": status()})
    deploys.staged(project, "production", DIGEST)
    with pytest.raises(PipelineError) as refused:
        deploys.staged(project, "production", DIGEST.replace("a" * 64, "b" * 64))
    assert DIGEST in str(refused.value)


LIVE, OTHER = "20261122T105851-3f2a9c1", "20261122T110000-0000000"


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ({"release": LIVE}, f"is ready and serves {LIVE}"),
        ({"release": OTHER}, ""),
        ({"release": None}, ""),
        # What the example answers to clients from the internet, as GitHub's runners are.
        ({}, f"is ready, and tells the internet no release; the hosts have probed {LIVE} through nginx"),
        ([], ""),
    ],
)
def test_the_public_url_has_to_answer_with_what_the_hosts_serve(
    answer: object, line: str, project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class App(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None: ...

    monkeypatch.setattr(deploys, "statuses", lambda *_: {"a": status(LIVE)})
    monkeypatch.setattr(smoke, "PAUSE_SECONDS", 0)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "page"))
    with HTTPServer(("127.0.0.1", 0), App) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("SLIPWAY_URL", url)
        if line:
            deploys.smoke_test(project, "production")
        else:
            with pytest.raises(PipelineError, match="smoke test: "):
                deploys.smoke_test(project, "production")
        server.shutdown()
    page = (tmp_path / "page").read_text()
    assert page == f"- smoke test: {url} {line}\n" if line else "smoke test: **failed**" in page


def test_an_app_that_does_not_answer_fails_the_smoke_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "PAUSE_SECONDS", 0)
    for url in ("http://127.0.0.1:1", "file:///etc/passwd", "shop.example.com"):
        with pytest.raises(PipelineError, match="does not answer as it should"):
            smoke.probe(url, {"a": status()})


@pytest.mark.parametrize(
    ("step", "arguments", "told"),
    [
        ("deploy", ("nowhere", DIGEST), "No environment 'nowhere'"),
        ("deploy", ("production", "app:latest"), "is not an image by digest"),
        ("deploy", ("production",), "Missing argument"),
        ("staged", ("production", "app@sha256:short"), "is not an image by digest"),
        ("rollback", ("production", "latest"), "is not a release"),
        ("smoke", ("nowhere",), "No environment 'nowhere'"),
        ("verify", (DIGEST,), "is not from registry.example.com/app"),
        ("contents", ("app:latest",), "is not an image by digest"),
        ("publish", ("image.tar", "latest"), "is not an image's id"),
        ("publish", ("image.tar", f"sha256:{'a' * 64}"), "No COSIGN_PRIVATE_KEY"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_touched(
    step: str, arguments: tuple[str, ...], told: str, project: Project
) -> None:
    refused = slipway(step, *arguments, cwd=project.root, SLIPWAY_REGISTRY="registry.example.com/app")
    assert refused.returncode in {1, 2}
    assert told in " ".join(refused.stderr.split())


@pytest.mark.parametrize("missing", ["SLIPWAY_SSH_KEY", "SLIPWAY_KNOWN_HOSTS"])
def test_a_workflow_without_its_key_or_the_hosts_keys_stops(missing: str, project: Project) -> None:
    there = {"GITHUB_ACTIONS": "true", "SLIPWAY_SSH_KEY": "x", "SLIPWAY_KNOWN_HOSTS": "x"}
    del there[missing]
    assert f"no {missing}" in slipway("deploy", "production", DIGEST, cwd=project.root, **there).stderr


def test_githubs_token_goes_to_githubs_registry_only(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[tuple[str, ...], str]] = []
    monkeypatch.setattr(registry, "docker", lambda *arguments, stdin, environment: calls.append((arguments, stdin)))
    monkeypatch.setenv("GITHUB_TOKEN", "token")
    monkeypatch.setenv("GITHUB_ACTOR", "alice")
    for image in ("registry.example.com/app", "ghcr.io.example.com/app", "ghcr.io/acme/app"):
        with registry.login(image) as environment:
            assert ("DOCKER_CONFIG" in environment) is (image == "ghcr.io/acme/app")
    assert calls == [(("login", "ghcr.io", "--username=alice", "--password-stdin"), "token")]


def test_what_a_playbook_prints_is_no_command_to_the_workflow(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for name in ("SERVER_URL", "REPOSITORY", "RUN_ID", "ACTOR"):
        monkeypatch.setenv(f"GITHUB_{name}", name.lower())
    play = project.root / "play.yml"
    play.write_text(
        "- {hosts: localhost, gather_facts: false, tasks: [{fail: {msg: 'by {{ release_deployed_by }} ::error::x'}}]}\n"
    )
    succeeded, output = Connection(dict(os.environ), {}).playbook(project, "production", str(play), a="two words")
    assert not succeeded
    assert "by actor by server_url/repository/actions/runs/run_id" in output
    first, *_, last = capfd.readouterr().out.splitlines()
    assert first.startswith("::stop-commands::")
    assert last == f"::{first.removeprefix('::stop-commands::')}::"


def test_outputs_of_several_lines_end_where_nothing_in_them_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "out"))
    runner.output("id", "sha256:1")
    runner.output("report", "a\nEOF\nb")
    line, begin, *text, end = (tmp_path / "out").read_text().splitlines()
    assert (line, begin, text) == ("id=sha256:1", f"report<<{end}", ["a", "EOF", "b"])


def test_the_image_is_checked_as_production_is_set_up(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_site, "which", lambda _: "/usr/bin/redis-server")
    folder = project.inventories / "production"
    assert (images.site(project).settings, images.site(project).beside) == (None, [])
    (folder / "hosts.yml").write_text("{app: {hosts: {www1: {app_workers: 3}}}, data: {hosts: {www1: }}}\n")
    (folder / "host_vars").mkdir()
    (folder / "host_vars/www1.yml").write_text("app_ready_path: /of/the/host\n")
    (folder / "settings.env").write_text("A=1\n")
    (folder / "secrets.example.yml").write_text("app_secrets: {A: b}\n")
    site = images.site(project)
    read = json.loads(site.variables.read_text())
    # Wherever Ansible takes a variable from, the image is checked with it.
    assert (read["app_workers"], read["app_ready_path"]) == (3, "/of/the/host")
    assert (read["app_secrets"], read["app_database"]) == ({"A": "b"}, "data")
    assert (site.settings, site.beside) == (folder / "settings.env", ["postgres", "valkey"])
    (folder / "group_vars").mkdir(exist_ok=True)
    (folder / "group_vars/all.yml").write_text("data_broker: false\napp_database: external\n")
    assert images.site(project).beside == ["postgres"]
    assert json.loads(images.site(project).variables.read_text())["app_database"] == "external"


def test_ci_and_a_laptop_check_the_image_with_the_same(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """`slipway pipeline check` and `slipway check`: but for what only real hosts have."""
    monkeypatch.setattr(image_site, "which", lambda _: None)  # a machine without a broker
    monkeypatch.setattr(Build, "run", lambda _: "sha256:1")
    folder = project.inventories / "production"
    (folder / "hosts.yml").write_text("{app: {hosts: {www1: {app_workers: 3}}}, data: {hosts: {www1: }}}\n")
    (folder / "live.env").write_text("A=1\n")
    (folder / "secrets.example.yml").write_text("app_secrets: {A: b}\n")
    (folder / "group_vars").mkdir(exist_ok=True)
    (folder / "group_vars/all.yml").write_text(f"release_settings_file: {folder}/live.env\n")
    (project.root / "Dockerfile").write_text("FROM scratch\n")
    ci = images.site(project)
    shared = ("app_workers", "app_secrets", "app_database", "release_settings_file")
    read = json.loads(ci.variables.read_text())
    _, laptop = project_image.build(project)
    assert (laptop.settings, laptop.beside) == (ci.settings, ci.beside) == (folder / "live.env", ["postgres"])
    assert {name: json.loads(laptop.variables.read_text())[name] for name in shared} == {
        name: read[name] for name in shared
    }
