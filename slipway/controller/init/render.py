"""The files that are written, as text: templates filled with what was found."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import jinja2

from slipway.controller import acme
from slipway.controller.init.findings import Findings
from slipway.controller.init.manager import VERSIONS
from slipway.controller.init.questions import EXAMPLE_STAGING_ADDRESS
from slipway.controller.init.source import Source
from slipway.controller.init.text import read

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
OLD_VERSIONS = {
    "3.8": {"poetry": "1.8.5", "pdm": "2.20.1", "pipenv": "2024.4.1"},
    "3.9": {"poetry": "2.2.1", "pdm": "2.26.9", "pipenv": "2025.0.4"},
}
"""The last ones that run on an old Python."""
ENVIRONMENTS = ("production", "staging")
WORKFLOWS = ("deploy", "operate")
PLAIN = re.compile(r"[A-Za-z/][\w./-]*")
"""Text that YAML reads as text without quotes, if it is no word for true, false or nothing."""
WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


@dataclass(frozen=True)
class Planned:
    """A file to write."""

    path: PurePosixPath
    """Relative to the repository; `..` leads to the folder that git has it in."""
    text: str
    is_ours: bool
    """It belongs to deploying: one that is there with another content is a conflict, not the user's own choice."""


def plan(findings: Findings, source: Source | None, project: str, branch: str) -> Iterator[Planned]:
    """Yield every file of a project, in the order in which a person reads them.

    Args:
        findings: the repository.
        source: where the workflows come from; without it there are none.
        project: the project's folder as seen from the top of the git repository, `.` if it is that.
        branch: the branch that is deployed.
    """
    values = _values(findings)
    for environment in ENVIRONMENTS:
        place, of = PurePosixPath("deploy", environment), values | _environment(findings, environment)
        yield Planned(place / "hosts.yml", _render("deploy/hosts.yml.j2", of), is_ours=True)
        yield Planned(place / "group_vars/all.yml", _render("deploy/all.yml.j2", of), is_ours=True)
        yield Planned(place / "settings.env", _render("deploy/settings.env.j2", of), is_ours=True)
        if environment == "production" and findings.environment.secrets:
            yield Planned(place / "secrets.example.yml", _render("deploy/secrets.example.yml.j2", of), is_ours=True)
    for name in WORKFLOWS if source else ():
        path = workflow(name, project)
        of = {"source": source, "project": project, "branch": branch, "workflow": path.stem, "tests": findings.tests}
        yield Planned(path, _render(f"workflows/{name}.yml.j2", of), is_ours=True)
    yield Planned(_dockerfile(findings), _render("Dockerfile.j2", values), is_ours=False)
    yield Planned(_context(findings) / ".dockerignore", _render("dockerignore.j2", values), is_ours=False)
    if findings.migrations or findings.processes:
        yield Planned(findings.workdir / "Procfile", _render("Procfile.j2", values), is_ours=False)


def workflow(name: str, project: str) -> PurePosixPath:
    """Return a workflow's path, relative to the project. Two projects of one repository have workflows of their own."""
    folder = PurePosixPath(project)
    top = PurePosixPath(*[".."] * len(folder.parts), ".github/workflows")
    return top / (f"{name}-{folder.name}.yml" if folder.parts else f"{name}.yml")


def _dockerfile(findings: Findings) -> PurePosixPath:
    return findings.dockerfile.path if findings.dockerfile else findings.base / "Dockerfile"


def _context(findings: Findings) -> PurePosixPath:
    return findings.dockerfile.context if findings.dockerfile else findings.base


def _values(findings: Findings) -> dict[str, Any]:
    packages, services, environment = findings.packages, findings.services, findings.environment
    copied: dict[str, list[str]] = {}
    for file in packages.files:
        folder = PurePosixPath(file).parent
        copied.setdefault("" if folder == PurePosixPath() else f"{folder}/", []).append(file)
    workdir = PurePosixPath("/app", packages.workdir)
    root = workdir / findings.root.relative_to(findings.workdir)
    own = not findings.has_own_dockerfile
    large = [name for name, _ in findings.context.large]
    return {
        "app_command": findings.start.command if findings.has_own_dockerfile else "",
        "command": findings.command,
        "context": str(_context(findings)),
        "copied": copied,
        "data_environment": environment.data,
        "dockerfile": str(_dockerfile(findings)),
        "has_version_path": findings.has_version_path,
        "is_ours": own,
        "large": [f"{name} ({size_in_words(size)})" for name, size in findings.context.large] if own else large,
        "locked": "" if not packages.lock else "--frozen " if packages.member else "--locked ",
        "migrations": findings.migrations,
        "names_env": ".env" in read(findings.folder / _dockerfile(findings)),
        "needs_tcp": services.has_data
        and (environment.needs_tcp or any(each.is_here and each.service == "Redis" for each in findings.addresses)),
        "options": packages.options,
        "packages": packages,
        "processes": findings.processes,
        "python": findings.python,
        "python_path": str(root),
        "reads_credentials": environment.reads_credentials,
        "ready_path": findings.ready_path,
        "secrets": environment.secrets,
        "sent": sorted({*findings.context.sent, _procfile(findings)} - {""}),
        "services": services,
        "build_packages": findings.build_packages,
        "runtime_packages": findings.runtime_packages,
        "settings": environment.settings,
        "procfile": findings.added_procfile,
        "stage": findings.stage,
        "versions": VERSIONS | OLD_VERSIONS.get(findings.python, {}),
        "workdir": str(workdir),
        "writable": findings.writable,
    }


def _procfile(findings: Findings) -> str:
    """Return what has to be sent for the Procfile: it is not there yet when the files are planned."""
    at = (findings.workdir / "Procfile").relative_to(findings.base)
    return at.parts[0] if findings.migrations or findings.processes else ""


def _environment(findings: Findings, environment: str) -> dict[str, Any]:
    site = findings.site
    is_production = environment == "production"
    name = site.name if is_production else f"staging.{site.name.removeprefix('www.')}"
    return {
        "environment": environment,
        "environment_name": findings.environment.production_name
        if is_production
        else findings.environment.staging_name,
        "host": "www1" if is_production else "staging1",
        "address": site.address if is_production else EXAMPLE_STAGING_ADDRESS,
        "site_name": name,
        "is_certifiable": not acme.refusals([name]),
        "deploy_key": site.deploy_key,
        "secrets_example": f"{'' if is_production else '../production/'}secrets.example.yml",
    }


def size_in_words(size: int) -> str:
    """Return a number of bytes as a person reads it."""
    return f"{size / 2**30:.1f} GB" if size >= 2**30 else f"{size / 2**20:.0f} MB"


def _yaml(value: str) -> str:
    return value if PLAIN.fullmatch(value) and value.lower() not in WORDS else json.dumps(value, ensure_ascii=False)


def _command(value: str) -> str:
    """Return a shell's command as YAML, without quotes where it can be."""
    return value if re.fullmatch(r"[a-z][\w ./@=&'<>+-]*", value) else json.dumps(value, ensure_ascii=False)


def _env(value: str) -> str:
    if re.fullmatch(r"[\w./:@%+,-]*", value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


@cache
def _jinja() -> jinja2.Environment:
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 -- no HTML
    )
    jinja.filters |= {"yaml": _yaml, "command": _command, "env": _env, "json": json.dumps}
    return jinja


def _render(name: str, values: dict[str, Any]) -> str:
    return _jinja().get_template(name).render(values)
