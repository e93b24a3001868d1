"""The image that local hosts are made of."""

import hashlib

from slipway.controller import resources
from slipway.controller.local import base_image
from slipway.controller.local.docker import docker
from slipway.controller.program import progress

SYSTEMS = {
    "debian-12": "debian:bookworm-slim",
    "debian-13": "debian:trixie-slim",
    "ubuntu-24.04": "ubuntu:24.04",
    "ubuntu-26.04": "ubuntu:26.04",
}
"""What a host can be, and the image that it is made on."""
DEFAULT_SYSTEM = "debian-13"


def build(system: str) -> str:
    """Build the image, unless there is one of the same files on the same base. Projects share it. Returns its tag.

    Raises:
        HostError: it cannot be built.
    """
    base, folder = SYSTEMS[system], resources.TEST_HOST
    base_image.ensure(base)
    made_of = hashlib.sha256(docker("image", "inspect", "--format={{.Id}}", base).encode())
    for file in sorted(folder.iterdir()):
        made_of.update(f"{file.name} {file.stat().st_size}\n".encode() + file.read_bytes())
    tag = f"slipway-testhost:{system}-{made_of.hexdigest()[:12]}"
    if not docker("images", "--quiet", tag):
        progress(f"Building the image of a {system} host (half a minute)")
        docker("build", "--quiet", "--build-arg", f"BASE={base}", "--tag", tag, str(folder))
    return tag
