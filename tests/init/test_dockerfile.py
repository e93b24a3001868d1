"""What the image of somebody's Dockerfile has and starts."""

from pathlib import PurePosixPath

import pytest

from slipway.controller.init.dockerfile import Instructions

PROCFILE = PurePosixPath("Procfile")
BELOW = PurePosixPath("backend/Procfile")


@pytest.mark.parametrize(
    ("instructions", "path", "has"),
    [
        ("FROM python\nCOPY . .", PROCFILE, True),
        ("FROM python\nCOPY --chown=a:b ./ /srv/", PROCFILE, True),
        ('FROM python\nADD ["Procfile", "/srv/"]', PROCFILE, True),
        ("FROM python\nCOPY a \\\n  Procfile /srv", PROCFILE, True),
        ("FROM python\nCOPY * .", PROCFILE, True),
        ("FROM python\nCOPY app app", PROCFILE, False),
        # Seen from the context, not from the app's folder.
        ("FROM python\nCOPY ./backend .", BELOW, True),
        ("FROM python\nCOPY backend/* .", BELOW, True),
        ("FROM python\nCOPY Procfile .", BELOW, False),
        ("FROM python\nCOPY backend/app app", BELOW, False),
        # From another stage, with the folder that the context is in there.
        ("FROM python AS a\nWORKDIR /app\nCOPY . .\nFROM python\nCOPY --from=a /app /app", PROCFILE, True),
        ("FROM python AS a\nCOPY . /srv/app\nFROM python\nCOPY --from=a /srv /srv", PROCFILE, True),
        ("FROM python AS a\nWORKDIR /app\nCOPY . .\nFROM python\nCOPY --from=a /app/.venv /app/.venv", PROCFILE, False),
        ("FROM python AS a\nCOPY x /app\nFROM python\nCOPY --from=a /app /app", PROCFILE, False),
        ("FROM python\nCOPY --from=example/image /app /app", PROCFILE, False),
        ("FROM python AS a\nCOPY . .\nFROM a", PROCFILE, True),
        ("FROM python AS a\nCOPY . .\nFROM python", PROCFILE, False),
        ("ARG KIND=a\nFROM python AS a\nCOPY . .\nFROM python AS b\nFROM ${KIND}", PROCFILE, True),
        ("ARG KIND=b\nFROM python AS a\nCOPY . .\nFROM python AS b\nFROM $KIND", PROCFILE, False),
        # Folders by name.
        (
            "FROM python AS a\nENV HOME=/app X=1\nWORKDIR $HOME\nCOPY . .\nFROM python\nCOPY --from=a /app .",
            PROCFILE,
            True,
        ),
        (
            "ARG HOME=/x\nFROM python AS a\nENV HOME='/srv'\nFROM a AS b\nWORKDIR ${HOME}\nCOPY . .\nFROM a\n"
            "COPY --from=b $HOME /srv",
            PROCFILE,
            True,
        ),
        ("FROM python AS a\nWORKDIR $HOME\nCOPY . .\nFROM python\nCOPY --from=a /app .", PROCFILE, False),
        ("", PROCFILE, False),
    ],
)
def test_what_is_in_the_image(instructions: str, path: PurePosixPath, has: bool) -> None:
    assert Instructions.parse(instructions).has(path) is has


@pytest.mark.parametrize(
    ("instructions", "is_workdir"),
    [
        ("FROM python\nWORKDIR /srv\nCOPY src .", True),
        ("FROM python\nWORKDIR /srv\nCOPY ./src/ /srv/", True),
        ("FROM python AS a\nWORKDIR /srv\nFROM a\nCOPY src .", True),
        ("FROM python\nWORKDIR /a\nWORKDIR b\nCOPY src /a/b", True),
        ("FROM python\nWORKDIR /srv\nCOPY src src", False),
        ("FROM python\nWORKDIR /srv\nCOPY src /elsewhere", False),
        ("FROM python\nWORKDIR /srv\nCOPY . .\nCOPY src .", False),
        ("FROM python\nWORKDIR /srv\nCOPY --from=a src .", False),
        ("", False),
    ],
)
def test_a_folder_that_becomes_the_workdir(instructions: str, is_workdir: bool) -> None:
    assert Instructions.parse(instructions).is_workdir(PurePosixPath("src")) is is_workdir


@pytest.mark.parametrize(
    ("instructions", "target", "starts_nothing"),
    [
        ("FROM python:3.13-slim\nCOPY . .", "", True),
        ("FROM --platform=linux/amd64 ghcr.io/astral-sh/uv:python3.13 AS x\nRUN true", "", True),
        ("FROM python\nCMD uvicorn main:app", "", False),
        ('FROM python\nentrypoint ["./start"]', "", False),
        ("FROM python AS a\nCMD x\nFROM a", "", False),
        ("FROM python AS a\nCMD x\nFROM python", "", True),
        ("FROM python AS a\nCMD x\nFROM python AS b\nRUN y", "a", False),
        ("FROM python AS a\nRUN y\nFROM a AS b\nCMD x", "a", True),
        # Its base has a command, or may have one.
        ("FROM tiangolo/uvicorn-gunicorn-fastapi:python3.9\nCOPY . /app", "", False),
        ("FROM ${BASE}\nCOPY . .", "", False),
        ("", "", False),
    ],
)
def test_an_image_without_a_command(instructions: str, target: str, starts_nothing: bool) -> None:
    assert Instructions.parse(instructions).starts_nothing(target) is starts_nothing


@pytest.mark.parametrize(
    ("text", "runner"),
    [
        ('CMD ["poetry", "run", "uvicorn", "main:app"]', "poetry run"),
        ('ENTRYPOINT ["uv", "run"]\nCMD ["fastapi", "run"]', "uv run --no-sync"),
        ("CMD pdm run start", "pdm run"),
        ('ENV PATH="/app/.venv/bin:$PATH"\nCMD ["uv", "run", "fastapi", "run"]', ""),
        ("CMD uvicorn main:app", ""),
    ],
)
def test_what_starts_a_program_of_the_virtual_environment(text: str, runner: str) -> None:
    assert Instructions.parse(f"FROM python\n{text}\n").runner() == runner


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        (
            "FROM python AS base\nFROM base AS production\nCMD x\nFROM base AS development\nCMD y --reload\n",
            "production",
        ),
        ("FROM python AS a\nCMD x\nFROM a AS b\nFROM b AS test\n", "b"),
        ("FROM python AS base\nFROM base AS dev\nCMD x\n", ""),
        ("FROM python AS dev\nCMD x\nFROM python\nCMD x\n", ""),
        ("FROM python AS dev\nFROM python AS latest\nCMD x\n", ""),
        ("", ""),
    ],
)
def test_the_stage_of_production_where_the_last_one_is_for_development(text: str, stage: str) -> None:
    assert Instructions.parse(text).production() == stage


def test_the_command_and_the_health_check_are_the_last_stages() -> None:
    instructions = Instructions.parse(
        "FROM python AS dev\nCMD uvicorn a:b --reload\nFROM python AS a\nHEALTHCHECK --interval=3s \\\n  CMD curl x\n"
        "FROM a\nCMD uvicorn a:b\n"
    )
    assert instructions.started() == ("", "uvicorn a:b")
    assert instructions.started("dev") == ("", "uvicorn a:b --reload")
    assert not instructions.migrates
    assert Instructions.parse("FROM a\nRUN cd x && alembic -c y upgrade head\nFROM b\n").migrates
    assert instructions.healthcheck.endswith("CMD curl x")
