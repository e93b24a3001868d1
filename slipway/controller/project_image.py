"""A project's own image, with what the app gets on the host of `slipway up`: for `slipway check` without an image."""

from pathlib import Path

from slipway.contract import data
from slipway.controller import image_site, stand_in
from slipway.controller.image_site import ImageSite
from slipway.controller.playbook import local_inventory, sources
from slipway.controller.project import LOCAL, Project
from slipway.model.errors import UsageError


def build(project: Project) -> tuple[str, ImageSite]:
    """Build the image that `slipway up` would deploy. Returns its name, and what it is checked with.

    Raises:
        UsageError: a command of the project's own builds it, or its host on this machine is not there yet.
        ProjectError: there is no environment to take variables of.
        SlipwayError: the inventory cannot be read, or Docker fails.
    """
    site = image_site.read(project, _sources(project))
    if site.values.get("release_build"):
        raise UsageError("release_build builds this project's image. Run that command, then: slipway check IMAGE")
    data.require(site.beside)
    image = str(site.values.get("release_image") or "")
    if not image:
        recipe = image_site.recipe(project, site.values)
        recipe.run()
        image = recipe.tag
    return image, site


def _sources(project: Project) -> list[Path]:
    """Return the inventory of the host of `slipway up`, also before there is one."""
    if LOCAL not in project.environments:
        return [stand_in.write(project)]
    if local_inventory(project).exists():
        return sources(project, LOCAL)
    folder = project.environment(LOCAL)
    if (folder / "hosts.yml").is_symlink():
        raise UsageError(
            f"The host of {folder} is not there yet. Type: slipway up -- or name an image: slipway check IMAGE"
        )
    return [folder]
