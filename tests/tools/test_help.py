"""What `--help` tells somebody who has read nothing."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from slipway.controller.cli import VERBS, app
from slipway.controller.image import docker
from slipway.controller.image.errors import ImageError
from slipway.controller.local import base_image
from slipway.model.errors import UsageError
from tests.wheel import write_shop

ALL = sorted(verb for verbs in VERBS.values() for verb in verbs)
JARGON = ("contract", "cutover", "canary", "sealed", "A folder of deploy/.")
"""Words of the documentation's inner pages, and what does not tell a folder's name."""


@pytest.mark.parametrize("verb", ALL)
def test_a_stranger_knows_each_word(verb: str) -> None:
    printed = " ".join(CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "300"}).stdout.split())
    assert [word for word in JARGON if word in printed] == []


def test_up_has_no_option_that_the_inventory_overrules() -> None:
    """PostgreSQL is beside the app where hosts.yml says so: `--data embedded` was accepted, shown as the default, and ignored."""
    done = CliRunner().invoke(app, ["up", "--data", "embedded"])
    assert (done.exit_code, "postgres" in done.output) == (2, True)


@pytest.mark.parametrize("words", ["up", "down", "check", "pipeline build image.tar"])
def test_docker_that_does_not_answer_is_the_cause_that_is_told(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check` looked for a registry, and began to build Debian."""
    monkeypatch.chdir(write_shop(tmp_path))
    Path("Dockerfile").write_text("FROM python:3.13-slim\n")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")
    monkeypatch.setattr(base_image, "ensure", lambda _: pytest.fail("it looks for an image"))
    done = CliRunner().invoke(app, words.split())
    assert isinstance(done.exception, ImageError | UsageError)
    assert "Is the docker daemon running? Type: sudo systemctl start docker" in str(done.exception)


def test_what_docker_says_is_a_sentence_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\necho 'connect: permission denied' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(docker, "find_docker", lambda: str(program))
    with pytest.raises(
        ImageError, match=r"^connect: permission denied\. Type: sudo systemctl start docker; sudo usermod"
    ):
        docker.require_daemon()


def test_a_port_that_is_none_is_refused_at_once() -> None:
    assert CliRunner().invoke(app, ["up", "--http", "99999"]).exit_code == 2
