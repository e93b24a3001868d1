"""What `make try` was asked for, looked at before anything is touched."""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from bench.host import ROOT, BenchError, run
from demo.variants import TAG, inspect
from tools.contract_check.site import Site, SiteError

LOG = ROOT / ".cache/log/try-image.log"


@dataclass(frozen=True)
class Asked:
    """An image that keeps the contract, and what a host has to know of it."""

    image: str
    site: Site
    settings: Path | None
    paths: tuple[str, ...]
    """What the visitors ask for."""
    port: int
    """On which the image listens in a container."""
    rate: int

    @property
    def host_header(self) -> str:
        """The name by which the app is asked."""
        return str(self.site["app_probe_host"])

    @property
    def environment(self) -> dict[str, str]:
        """Settings and secrets, as a container gets them."""
        settings = dotenv_values(self.settings, interpolate=False) if self.settings else {}
        return {name: value or "" for name, value in settings.items()} | self.site.secrets

    def variables(self) -> dict[str, object]:
        """For Ansible: everything about the app, and the names that the test host answers to."""
        app = {
            name: value
            for name, value in self.site.values.items()
            if name.startswith("app_") and "{{" not in str(value)
        }
        return app | {"nginx_server_names": list(dict.fromkeys([self.host_header, "localhost", "127.0.0.1"]))}


def read(arguments: Sequence[str] | None, description: str | None) -> Asked:
    """Read the command line, build the image if it has to be, and check it against the contract.

    Raises:
        BenchError: something is not as it must be; the text says what to change.
    """
    parser = argparse.ArgumentParser(prog="make try", description=description)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--image", help="name or id of an image that is here")
    which.add_argument("--dockerfile", type=Path, help="a Dockerfile, or the folder that has one")
    parser.add_argument(
        "-e", "--extra-vars", action="append", default=[], metavar="NAME=VALUE|@FILE", help="of the role app"
    )
    parser.add_argument("--ready-path", help="answers 2xx when the app can serve (app_ready_path)")
    parser.add_argument("--probe-host", help="the Host header to ask with (app_probe_host)")
    parser.add_argument("--settings", type=Path, help="a settings.env")
    parser.add_argument(
        "--paths", default="", help="what the load asks for: paths, separated by spaces (the ready path)"
    )
    parser.add_argument("--port", type=int, help="on which the image listens in a container (its EXPOSE)")
    parser.add_argument("--rate", type=int, default=100, help="requests per second")
    options = parser.parse_args(arguments)
    if options.settings and not options.settings.is_file():
        raise BenchError(f"there is no file {options.settings}: SETTINGS names a settings.env")
    extra = list(options.extra_vars)
    extra += [f"app_ready_path={options.ready_path}"] if options.ready_path else []
    extra += [f"app_probe_host={options.probe_host}"] if options.probe_host else []
    try:
        site = Site.read(extra)
    except SiteError as error:
        raise BenchError(str(error)) from None
    paths = tuple(options.paths.split()) or (str(site["app_ready_path"]),)
    if wrong := [path for path in paths if not path.startswith("/")]:
        raise BenchError(f"PATHS has {wrong[0]!r}, and a path begins with /: PATHS='/ /about'")
    image = _built(options.dockerfile) if options.dockerfile else _present(options.image)
    _check_contract(image, extra, options.settings)
    return Asked(image, site, options.settings, paths, options.port or exposed(image), options.rate)


def _present(image: str) -> str:
    try:
        inspect(image)
    except BenchError:
        raise BenchError(
            f"there is no image {image} on this machine: `docker images` lists those that are; pull it or build it, or "
            "name what it is built by: make try DOCKERFILE=../my-app"
        ) from None
    return image


def dockerfile(path: Path) -> Path:
    """The Dockerfile that is meant.

    Raises:
        BenchError: there is none.
    """
    file = path / "Dockerfile" if path.is_dir() else path
    if not file.is_file():
        what = "has no Dockerfile" if path.is_dir() else "does not exist"
        raise BenchError(f"{path} {what}: DOCKERFILE names a Dockerfile, or the folder that has one")
    return file


def _built(path: Path) -> str:
    file, image = dockerfile(path), f"{TAG}:built"
    print(f"try: building {file} (log: {LOG})", file=sys.stderr, flush=True)
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("wb") as log:
        options = ["--progress=plain", f"--tag={image}", f"--file={file}", *_trust()]
        command = ["docker", "build", *options, str(file.parent)]
        failed = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    if failed:
        said = "\n".join(LOG.read_text(errors="replace").splitlines()[-20:])
        raise BenchError(f"{file} cannot be built; the build said last:\n{said}")
    return image


def _trust() -> list[str]:
    """What this machine trusts, for a Dockerfile that mounts the secret `ca`, as the one here does."""
    file = run("bash", "-c", "source tools/lib.sh; extra_ca").strip()
    return ["--secret", f"id=ca,src={file}"] if file else []


def _check_contract(image: str, extra: Sequence[str], settings: Path | None) -> None:
    """Print what docs/contract.md says of it, and end here if a line is broken."""
    command = [str(ROOT / "tools/contract"), image, *(part for each in extra for part in ("-e", each))]
    command += ["--settings", str(settings)] if settings else []
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise BenchError("nothing was deployed: first change what stands above as not ok (docs/contract.md says how)")


def exposed(image: str) -> int:
    """The port that the image says it listens on; 8000 if it says none."""
    ports = inspect(image)["Config"].get("ExposedPorts") or {}
    numbers = sorted(int(match[1]) for port in ports if (match := re.fullmatch(r"([0-9]+)/tcp", port)))
    return numbers[0] if numbers else 8000


def release_command(image: str) -> str | None:
    """The `release:` line of the Procfile in the image's WORKDIR."""
    shell = ["docker", "run", "--rm", "--entrypoint=/bin/sh", image, "-c", "test ! -f Procfile || cat Procfile"]
    lines = (line.partition(":") for line in run(*shell).splitlines())
    return next((command.strip() for name, _, command in lines if name.strip() == "release"), None)


def as_words(statuses: dict[str, int]) -> str:
    """For VISITOR_PATHS."""
    return " ".join(f"{status} {path}" for path, status in statuses.items())
