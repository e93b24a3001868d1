"""The services of a repository's Compose files, which include, extend and lie on top of one another."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from slipway.controller.init import text
from slipway.controller.init.existing import COMPOSE, PRODUCTION
from slipway.controller.init.groups import DEVELOPMENT

FOLDERS = ("", "docker", "deploy", "deployment", "compose", "docker-compose", "infra")
"""Where Compose files are, below the folder of an app or of a repository."""
NAMED = re.compile(r"(docker[-_])?compose[.-](?P<of>[\w.-]+)\.ya?ml|(?P<before>[\w-]+)[.-](docker-)?compose\.ya?ml")
"""A Compose file for a purpose: docker-compose.worker.yml, base.compose.yaml."""
ASIDE = re.compile(
    rf"{DEVELOPMENT.pattern}|override|stag(e|ing)|example|gpu|build|swarm|monitor|traefik", re.IGNORECASE
)
"""Purposes that are not what production runs."""
DEFAULT = re.compile(r"(?<!\$)\$\{\w+:?-([^{}]*)\}")
MAX_DEPTH = 5
"""Files that include, and services that extend, one another."""

Services = dict[str, dict[str, Any]]


class _Loader(yaml.SafeLoader):
    """Compose's YAML, in which a value may be tagged `!reset` or `!override`."""


def _tagged(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> Any:
    if tag == "reset":
        return None
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_Loader.add_multi_constructor("!", _tagged)


def read_services(folder: Path, places: Iterable[PurePosixPath]) -> Services:
    """Return the services of the first folder that has Compose files; the folders in `build` are whole paths.

    Args:
        folder: the repository, or the folder of one app in it: the folders above it in git may have the files.
        places: folders in it, the nearest first.
    """
    for place in (*(folder / each for each in dict.fromkeys(places)), *_above(folder)):
        for below in FOLDERS:
            services: Services = {}
            for file in _files(place / below):
                services = _merged(services, _read(file, MAX_DEPTH))
            if services:
                return services
    return {}


def context_of(service: dict[str, Any]) -> Path | None:
    """Return the folder that a service's image is built in; None if it is not built, or the folder is not known."""
    build = service.get("build", {})
    context = build.get("context", build.get("default_context"))
    return Path(context) if context else None


def _above(folder: Path) -> list[Path]:
    """Return the folders above, up to the folder of the repository; none outside of git."""
    if (folder / ".git").exists():
        return []
    top = next((above for above in folder.parents if (above / ".git").exists()), None)
    return [above for above in folder.parents if top and above.is_relative_to(top)]


def _files(place: Path) -> list[Path]:
    """Return the Compose files of a folder: the usual one, those for a purpose, production's on top of them."""
    usual = next((place / name for name in COMPOSE if (place / name).is_file()), None)
    production = next((place / name for name in PRODUCTION if (place / name).is_file()), None)
    named = [path for path in sorted(place.glob("*compose*.y*ml")) if path.name not in {*COMPOSE, *PRODUCTION}]
    purposes = {path: match["of"] or match["before"] for path in named if (match := NAMED.fullmatch(path.name))}
    own = [path for path, purpose in purposes.items() if not ASIDE.search(purpose)]
    files = [file for file in (usual, *own, production) if file]
    return files or list(purposes)[:1]


def _read(file: Path, depth: int, beside: Path | None = None) -> Services:
    content = _content(file)
    beside = beside or file.parent
    services: Services = {}
    for included, where in _included(content.get("include"), beside) if depth else ():
        services = _merged(services, _read(included, depth - 1, where))
    named = content.get("services")
    own = {str(name): service for name, service in named.items()} if isinstance(named, dict) else {}
    own = {name: _placed(service, beside) for name, service in own.items() if isinstance(service, dict)}
    return _merged(services, {name: _extended(own, service, beside, depth) for name, service in own.items()})


def _included(include: object, beside: Path) -> Iterator[tuple[Path, Path | None]]:
    """Yield the files that a file includes, each with the folder that its paths are seen from, if it names one."""
    for each in include if isinstance(include, list) else []:
        paths = each.get("path") if isinstance(each, dict) else each
        where = each.get("project_directory") if isinstance(each, dict) else None
        for path in paths if isinstance(paths, list) else [paths]:
            if isinstance(path, str):
                yield beside / path, beside / where if isinstance(where, str) else None


def _extended(services: Services, service: dict[str, Any], beside: Path, depth: int) -> dict[str, Any]:
    """Return a service on top of its base, of the same file or of another."""
    extends = service.get("extends")
    name = extends.get("service") if isinstance(extends, dict) else extends
    if not isinstance(name, str) or not depth:
        return service
    file = extends.get("file") if isinstance(extends, dict) else None
    if isinstance(file, str):
        base = _read(beside / file, depth - 1).get(name, {})
    else:
        base = _extended(services, services.get(name, {}), beside, depth - 1)
    return _merged({name: base}, {name: service})[name]


def _placed(service: dict[str, Any], beside: Path) -> dict[str, Any]:
    """Return a service whose build is a mapping with a whole path as its context."""
    build = service.get("build")
    build = {"context": build} if isinstance(build, str) else build
    if not isinstance(build, dict):
        return {name: value for name, value in service.items() if name != "build"}
    context = build.get("context", ".")
    known = isinstance(context, str) and "$" not in context
    place = str((beside / context).resolve()) if known else None
    return service | {"build": build | {"context" if "context" in build else "default_context": place}}


def _merged(below: Services, above: Services) -> Services:
    """Merge as Compose does what matters here: a mapping adds to a mapping, anything else takes its place."""
    merged = dict(below)
    for name, service in above.items():
        earlier = merged.get(name, {})
        build = {**earlier.get("build", {}), **service.get("build", {})}
        merged[name] = earlier | service | ({"build": build} if build else {})
    return merged


def _content(file: Path) -> dict[str, Any]:
    try:
        content = yaml.load(DEFAULT.sub(r"\1", text.read(file)), Loader=_Loader)  # noqa: S506 -- a SafeLoader
    except (yaml.YAMLError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
