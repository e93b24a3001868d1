"""Building a project's image. `python -m slipway.controller.build ROOT` prints the image's id."""

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.controller import certificates
from slipway.controller.image.docker import find_docker, require_daemon
from slipway.controller.image.errors import ImageError
from slipway.controller.local import base_image
from slipway.controller.program import logged, output, progress
from slipway.controller.project import INVENTORIES, Project
from slipway.model.errors import SlipwayError


@dataclass(frozen=True)
class Build:
    """What an image is built from, and what it is called."""

    context: Path
    dockerfile: Path
    tag: str
    log: Path
    target: str = ""
    """The stage of the Dockerfile; empty for the last one."""
    procfile: Path | None = None
    """What is added to the image's WORKDIR, since the Dockerfile does not."""

    @classmethod
    def of(
        cls,
        project: Project,
        context: str = ".",
        dockerfile: str = "Dockerfile",
        tag: str = "",
        target: str = "",
        procfile: str = "",
    ) -> "Build":
        """Take paths as seen from the project's folder.

        Raises:
            ImageError: there is no such file or folder.
        """
        build = cls(
            project.root / context,
            project.root / dockerfile,
            tag or f"slipway-app-{project.id}:latest",
            project.cache / "log/image.log",
            target,
            project.root / procfile if procfile else None,
        )
        if not build.context.is_dir():
            raise ImageError(f"{build.context} is no folder. Correct release_context.")
        if not build.dockerfile.is_file():
            raise ImageError(
                f"{build.dockerfile} does not exist. Write it, or name another one (release_dockerfile), or an image "
                "that is there already (release_image)."
            )
        if build.procfile and not build.procfile.is_file():
            raise ImageError(f"{build.procfile} does not exist. Write it, or correct release_procfile.")
        return build

    def run(self) -> str:
        """Build the image, labelled with the commit. Returns its id.

        Raises:
            ImageError: Docker does not answer.
            ProgramError: docker fails; with the end of its output.
            HostError: the image of Python that it is built on can neither be pulled nor built.
        """
        require_daemon()
        for name in python_images(self.dockerfile):
            base_image.ensure(name)
        progress(f"image: building {self.tag} (log: {self.log})")
        with tempfile.TemporaryDirectory() as folder:
            id_file = Path(folder) / "id"
            options = [f"--iidfile={id_file}", f"--tag={self.tag}", f"--file={self.dockerfile}", "--progress=plain"]
            if commit := commit_of(self.context):
                options += [f"--build-arg=COMMIT={commit}", f"--label=org.opencontainers.image.revision={commit}"]
            options += [f"--target={self.target}"] if self.target else []
            options += certificates.build_options()
            logged([find_docker(), "build", *options, self.context], self.log, DOCKER_BUILDKIT="1")
            if self.procfile:
                self._add(self.procfile, Path(folder), id_file)
            return id_file.read_text().strip()

    def _add(self, procfile: Path, folder: Path, id_file: Path) -> None:
        """Build the image again with a Procfile as its last layer, whatever .dockerignore says."""
        place = folder / "procfile"
        place.mkdir()
        (place / "Procfile").write_bytes(procfile.read_bytes())
        (place / "Dockerfile").write_text(f"FROM {self.tag}\nCOPY Procfile ./\n", encoding="utf-8")
        options = [f"--iidfile={id_file}", f"--tag={self.tag}", "--progress=plain"]
        logged([find_docker(), "build", *options, place], self.log, DOCKER_BUILDKIT="1")


def python_images(dockerfile: Path) -> list[str]:
    """Return the official images of Python that a Dockerfile is built on, without those of a digest."""
    text = dockerfile.read_text(encoding="utf-8", errors="replace")
    return sorted(set(re.findall(r"^(?:ARG \w+=|FROM )(python:3\.\d+-slim)(?=\s|$)", text, re.MULTILINE)))


def commit_of(folder: Path) -> str:
    """Return the commit of a working tree, with -dirty if it has changes that no commit has; empty without git.

    The inventories are no part of the app: naming a host there does not count.
    """
    git = ("git", "-C", str(folder))
    commit = output(*git, "rev-parse", "--verify", "--quiet", "HEAD")
    others = [f":(exclude){path}" for path in INVENTORIES]
    return f"{commit}-dirty" if commit and output(*git, "status", "--porcelain", "--", ".", *others) else commit


def main(arguments: Sequence[str] | None = None) -> int:
    """Build an image. Returns 0, 1 when that failed."""
    parser = argparse.ArgumentParser(prog="python -m slipway.controller.build", description=__doc__)
    parser.add_argument("root", type=Path, help="the project's folder")
    parser.add_argument("--context", default=".", metavar="FOLDER", help="what is sent to Docker, seen from there (.)")
    parser.add_argument("--dockerfile", default="Dockerfile", metavar="FILE", help="seen from there (Dockerfile)")
    parser.add_argument("--tag", default="", help="the image's name (default: one of this project)")
    parser.add_argument("--target", default="", metavar="STAGE", help="the stage of the Dockerfile (the last one)")
    parser.add_argument("--procfile", default="", metavar="FILE", help="added to the image, seen from there (none)")
    options = parser.parse_args(arguments)
    try:
        project = Project.find(options.root)
        parts = (options.context, options.dockerfile, options.tag, options.target, options.procfile)
        print(Build.of(project, *parts).run())
    except SlipwayError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
