"""The steps about an image: build, check, publish, list its contents, verify its signature."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

from slipway.controller import image_site
from slipway.controller.image_site import PRODUCTION, ImageSite
from slipway.controller.pipeline import PipelineError, registry, runner, signing
from slipway.controller.program import logged, progress
from slipway.controller.project import LOCAL, Project


def build(project: Project, archive: Path) -> str:
    """Build the image, and save it in a file. Returns its id, which is the output `id`.

    Raises:
        PipelineError: it cannot be saved.
        SlipwayError: it cannot be built.
    """
    image = image_site.recipe(project, site(project).values).run()
    archive.parent.mkdir(parents=True, exist_ok=True)
    registry.docker("save", f"--output={archive}", image)
    runner.output("id", image)
    return image


def site(project: Project) -> ImageSite:
    """Return what the image is checked with: as in the environment that it is for, production where there is one.

    Raises:
        SlipwayError: the inventory cannot be read.
    """
    known = [name for name in project.environments if name != LOCAL]
    name = PRODUCTION if PRODUCTION in known or not known else known[0]
    return image_site.read(project, [project.environment(name)])


def publish(archive: Path, image_id: str) -> None:
    """Push the image that CI tested to the registry, and sign it: a signature means that it passed.

    Outputs: `image`, its name with the registry's digest; `name` and `digest`, the two by themselves.

    Raises:
        PipelineError: the file holds another image, the registry refuses it, or there is no key.
    """
    if not registry.IMAGE_ID.fullmatch(image_id):
        raise PipelineError(f"{image_id!r} is not an image's id. Type it as the build printed it: sha256:...")
    signing.has_key("PRIVATE")
    name = registry.name()
    registry.docker("load", "--quiet", f"--input={archive}")
    try:
        commit = registry.commit(registry.inspect(image_id))
    except PipelineError:
        raise PipelineError(f"{archive} does not hold {image_id}, which CI tested") from None
    with registry.login(name) as logged_in:
        progress(f"publish: {name}")
        tagged = f"{name}:{commit}"
        registry.docker("tag", image_id, tagged)
        registry.docker("push", "--quiet", tagged, environment=logged_in)
        digests = registry.inspect(image_id)["RepoDigests"]
        image = next(digest for digest in digests if digest.startswith(f"{name}@"))
        signing.sign(image, logged_in, commit=commit, run=runner.url())
    runner.output("image", image)
    runner.output("name", name)
    runner.output("digest", image.partition("@")[2])
    runner.summary(f"### Published\n\n`{image}` passed and is signed. On a host it is known by its id, `{image_id}`.")


def sbom(image: str, file: Path) -> None:
    """List what is in an image of the registry, and attach the list to it, signed. Output `path`: the list.

    It is SPDX: Debian's packages and Python's, each with its version and licence.

    Raises:
        PipelineError: there is no key, or a program fails.
    """
    registry.check_digest(image)
    signing.has_key("PRIVATE")
    name, _, digest = image.partition("@")
    # It reads what is in the image, which is no business of the key's.
    hidden = [f"--unset={variable}" for variable in signing.SECRETS]
    source = [f"--source-name={name}", f"--source-version={digest}", f"--output=spdx-json={file}"]
    with registry.login(image) as logged_in:
        variables = {"SYFT_CHECK_FOR_APP_UPDATE": "false", "DOCKER_CONFIG": logged_in.get("DOCKER_CONFIG", "")}
        log = file.with_suffix(".log")
        logged(["env", *hidden, "syft", "scan", f"registry:{image}", *source], log, **variables)
        signing.attest(image, file, logged_in)
    runner.output("path", str(file))
    runner.summary(f"- what is in it: `slipway pipeline contents {image}`")


def contents(image: str) -> Iterator[str]:
    """Yield what is in an image, a package a line with its version, if the repository's key has signed the list.

    Raises:
        PipelineError: there is no such list.
    """
    registry.check_digest(image)
    signing.has_key("PUBLIC")
    with registry.login(image) as logged_in:
        envelope = json.loads(signing.attestation(image, logged_in))
    listed = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    packages = {f"{package['name']} {package.get('versionInfo', '')}" for package in listed["packages"]}
    yield from sorted(packages)


def verify(image: str) -> None:
    """Accept an image, named by digest, that CI has passed. It asks the signature.

    Raises:
        PipelineError: it is from another registry, or not signed.
    """
    registry.check_digest(image)
    if not image.startswith(f"{registry.name()}@"):
        raise PipelineError(f"{image} is not from {registry.name()}")
    signing.has_key("PUBLIC")
    with registry.login(image) as logged_in:
        signing.verify(image, logged_in)
    progress(f"verify: {image} is signed")
