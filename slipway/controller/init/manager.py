"""What installs the dependencies of an app."""

from enum import StrEnum


class Manager(StrEnum):
    """What installs the dependencies."""

    UV = "uv"
    POETRY = "poetry"
    PDM = "pdm"
    PIPENV = "pipenv"
    PIP = "pip"
    PYPROJECT = "pyproject"
    """A pyproject.toml, a setup.cfg or a setup.py without any lock."""


VERSIONS = {"uv": "0.13.9", "poetry": "2.5.1", "pdm": "2.29.4", "pipenv": "2026.10.3"}
"""The versions that images install with."""
