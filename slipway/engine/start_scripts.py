"""The start scripts of a release: `/.slipway` with its environment and a script for each process and job."""

import shlex

from slipway.model.manifest import Manifest
from slipway.model.names import COMBINED_VARIABLE, IMAGE_FIRST, VARIABLE, is_dropped_from_image

START_PROCESS = """#!/bin/sh
# Of the unit app-worker.1@ the line `worker` of the Procfile.
name=${1#app-}
exec "/.slipway/${name%.*}"
"""


def start_scripts(release: str, manifest: Manifest) -> dict[str, str]:
    """The files of `/.slipway`: `env` with the environment, `web`, one for each line of the Procfile and each job."""
    image = manifest.image
    own = {"SLIPWAY_RELEASE": release, "SLIPWAY_COMMIT": image.commit or "", "SLIPWAY_IMAGE": image.id}
    env = {name: value for name, value in image.env.items() if _is_usable(name)}
    ports = manifest.ports
    lines = [
        "# Written by Slipway when the release was shipped: the image's environment, then the settings.",
        f"cd {shlex.quote(image.workdir or '/')} || exit",
        *(_image_variable(name, value) for name, value in env.items()),
        *(f"export {name}={shlex.quote(value)}" for name, value in (manifest.settings | own).items()),
        f"[ ${{PORT+set}} ] || export PORT={ports[0]}",
        *(
            f'{name}=$(cat "$CREDENTIALS_DIRECTORY/{name}") || exit; export {name}'
            for name in manifest.secrets_as_environment
        ),
    ]
    # As a container engine fills a new volume. The image's own folder is below the mount, so ship put its files aside.
    lines += [_fill(path) for path in manifest.writable]
    scripts = {
        "env": "\n".join(lines) + "\n",
        "process": START_PROCESS,
        "ports": "".join(f"{port}\n" for port in ports),
    }
    commands = {"web": "exec " + shlex.join(image.command)}
    commands |= {name: line for name, line in manifest.procfile.items() if name != "web"}
    commands |= {f"jobs/{name}": line for name, line in manifest.jobs.items()}
    for name, command in commands.items():
        scripts[name] = f"#!/bin/sh\n. /.slipway/env\n{command}\n"
    return scripts


def _fill(path: str) -> str:
    """A line that fills a folder that is empty, or whose filling was interrupted: a file tells until all is there."""
    marker = f"{path}/.slipway-incomplete"
    return (
        f'if [ "${{SLIPWAY_FILL-}}" != no ] && {{ [ -e {marker} ] || [ -z "$(ls -A {path})" ]; }}; then '
        f": >{marker} && cp -R /.slipway/writable{path}/. {path}/ && rm -f {marker} || exit; fi"
    )


def _image_variable(name: str, value: str) -> str:
    """A line for a variable of the image: a variable that the unit sets for this host wins."""
    if name == COMBINED_VARIABLE:
        return f'export {name}={shlex.quote(value)}" ${name}"'
    if name in IMAGE_FIRST or name.startswith("LC_"):
        return f"export {name}={shlex.quote(value)}"
    return f"[ ${{{name}+set}} ] || export {name}={shlex.quote(value)}"


def _is_usable(name: str) -> bool:
    return VARIABLE.fullmatch(name) is not None and not is_dropped_from_image(name)
