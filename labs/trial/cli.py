"""The command line of `make try`, checked before anything is touched."""

import argparse
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from labs.command import OUTPUT_LINES, ROOT, LabError, progress, run
from labs.images import inspect
from slipway.contract.data import NAMES
from slipway.contract.site import Site, SiteError
from slipway.controller.image.config import own_ports
from tools.checkout import TRIAL

LOG = ROOT / ".cache/log/try-image.log"
RATE = 100


@dataclass(frozen=True)
class Request:
    """An image that keeps the contract, and what a host has to know about it."""

    image: str
    site: Site
    settings: Path | None
    paths: tuple[str, ...]
    """The load GETs these."""
    port: int
    """The image listens on it in a container."""
    rate: int
    """Requests per second."""
    smoke: bool
    """Only the shortest steps."""
    host: str | None
    """A host that runs, to use instead of a new one."""
    beside: tuple[str, ...] = ()
    """What runs beside the app: `postgres`, `valkey`."""

    @property
    def host_header(self) -> str:
        """The Host header of every request."""
        return str(self.site["app_probe_host"])

    @property
    def ready_path(self) -> str:
        """Answers 2xx when the app is ready."""
        return str(self.site["app_ready_path"])

    @property
    def groups(self) -> str:
        """The groups of the inventory that the host is in."""
        return "app,data" if self.beside else "app"

    def data_environment(self, unit: str) -> dict[str, str]:
        """Return where a container finds the data beside it, as the unit of a host has it: `app` or `migrate`."""
        return self.site.data_environment(unit, broker="valkey" in self.beside) if self.beside else {}

    @property
    def environment(self) -> dict[str, str]:
        """Settings and secrets, as environment variables of a container."""
        settings = dotenv_values(self.settings, interpolate=False) if self.settings else {}
        return {name: value or "" for name, value in settings.items()} | self.site.secrets

    def variables(self) -> dict[str, object]:
        """Return Ansible's variables: all of the app's, and the server names of the test host."""
        app = {
            name: value
            for name, value in self.site.values.items()
            if name.startswith("app_") and "{{" not in str(value)
        }
        if self.beside:
            app["data_broker"] = "valkey" in self.beside
        return app | {"nginx_server_names": list(dict.fromkeys([self.host_header, "localhost", "127.0.0.1"]))}


def read(arguments: Sequence[str] | None, description: str | None) -> Request:
    """Read the command line, build the image if a Dockerfile is named, and check the image against the contract.

    Raises:
        LabError: an argument or the image is wrong; the text says what to change.
    """
    parser = argparse.ArgumentParser(prog="make try", description=description)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--image", help="name or id of an image on this machine")
    source.add_argument("--dockerfile", type=Path, help="a Dockerfile or its folder")
    parser.add_argument(
        "-e", "--extra-vars", action="append", default=[], metavar="NAME=VALUE|@FILE", help="of the role app"
    )
    parser.add_argument("--ready-path", help="answers 2xx when the app is ready (app_ready_path)")
    parser.add_argument("--probe-host", help="Host header of every request (app_probe_host)")
    parser.add_argument("--settings", type=Path, help="a settings.env")
    parser.add_argument("--paths", default="", help="paths that the load GETs, separated by spaces (the ready path)")
    parser.add_argument("--port", type=int, help="on which the image listens in a container (its EXPOSE)")
    parser.add_argument("--rate", type=int, default=RATE, help=f"requests per second ({RATE})")
    parser.add_argument("--smoke", action="store_true", help="only the shortest steps, to see that it works")
    parser.add_argument(
        "--with",
        dest="beside",
        action="append",
        default=[],
        choices=NAMES,
        help="run a PostgreSQL or a Valkey beside the app; can be repeated. A host has PostgreSQL with either",
    )
    parser.add_argument("--host", help="a host of tools/host that runs, to use and keep instead of a new one")
    options = parser.parse_args(arguments)
    if options.settings and not options.settings.is_file():
        raise LabError(f"SETTINGS={options.settings}: there is no such file; SETTINGS names a settings.env")
    if options.host and options.beside:
        raise LabError(f"--host {options.host} with --with {options.beside[0]}: a host that runs has its data already")
    extra = list(options.extra_vars)
    extra += ["app_database=data"] if options.beside else []
    extra += [f"app_ready_path={options.ready_path}"] if options.ready_path else []
    extra += [f"app_probe_host={options.probe_host}"] if options.probe_host else []
    try:
        site = Site.read(extra)
    except SiteError as error:
        raise LabError(str(error)) from None
    paths = tuple(options.paths.split()) or (str(site["app_ready_path"]),)
    if wrong := [path for path in paths if not path.startswith("/")]:
        raise LabError(f"PATHS has {wrong[0]!r}: a path begins with /, as in PATHS='/ /about'")
    image = _built(options.dockerfile) if options.dockerfile else _present(options.image)
    beside = tuple(options.beside)
    _check_contract(image, extra, options.settings, beside)
    port = options.port or own_ports(inspect(image)["Config"])[0]
    return Request(image, site, options.settings, paths, port, options.rate, options.smoke, options.host, beside)


def _present(image: str) -> str:
    try:
        inspect(image)
    except LabError:
        raise LabError(
            f"there is no image {image} on this machine (`docker images` lists all): pull or build it, or name its "
            "Dockerfile: make try DOCKERFILE=../my-app"
        ) from None
    return image


def dockerfile(path: Path) -> Path:
    """Return the Dockerfile that a path names.

    Raises:
        LabError: there is none.
    """
    file = path / "Dockerfile" if path.is_dir() else path
    if not file.is_file():
        problem = "has no Dockerfile" if path.is_dir() else "does not exist"
        raise LabError(f"{path} {problem}: DOCKERFILE names a Dockerfile or its folder")
    return file


def _built(path: Path) -> str:
    file, image = dockerfile(path), f"{TRIAL}:built"
    progress("try", f"building {file} (log: {LOG})")
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("wb") as log:
        options = ["--progress=plain", f"--tag={image}", f"--file={file}", *_ca_secret()]
        command = ["docker", "build", *options, str(file.parent)]
        failed = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    if failed:
        output = "\n".join(LOG.read_text(errors="replace").splitlines()[-OUTPUT_LINES:])
        raise LabError(f"the build of {file} failed:\n{output}")
    return image


def _ca_secret() -> list[str]:
    """Return the build secret `ca`, the machine's own CAs, for a Dockerfile that mounts it."""
    file = run("bash", "-c", "source tools/lib.sh; extra_ca").strip()
    return ["--secret", f"id=ca,src={file}"] if file else []


def _check_contract(image: str, extra: Sequence[str], settings: Path | None, beside: Sequence[str]) -> None:
    """Print how the image keeps docs/reference/contract.md.

    Raises:
        LabError: a line is broken.
    """
    command = [str(ROOT / "tools/contract"), image, *(part for each in extra for part in ("-e", each))]
    command += ["--settings", str(settings)] if settings else []
    command += [f"--with={name}" for name in beside]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise LabError("nothing was deployed: first mend each `not ok` above (docs/reference/contract.md says how)")


def release_command(image: str) -> str | None:
    """Return the `release:` command of the Procfile in the image's WORKDIR, None if there is none."""
    shell = ["docker", "run", "--rm", "--entrypoint=/bin/sh", image, "-c", "test ! -f Procfile || cat Procfile"]
    lines = (line.partition(":") for line in run(*shell).splitlines())
    return next((command.strip() for name, _, command in lines if name.strip() == "release"), None)


def as_load_paths(statuses: dict[str, int]) -> str:
    """Return the option `paths` of a load."""
    return " ".join(f"{status} {path}" for path, status in statuses.items())
