"""The files that a deploy needs beside this package: below it in a wheel, around it in a checkout of Slipway."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
IN_WHEEL = PACKAGE / "resources"
ROOT = IN_WHEEL if IN_WHEEL.is_dir() else PACKAGE.parent
"""The folder that has ansible/, nginx/, systemd/ and slipway/: slipway_root of the roles."""

ANSIBLE = ROOT / "ansible"
ROLES = ANSIBLE / "roles"
SYSTEMD = ROOT / "systemd"
TEST_HOST = ROOT / "tools/testhost"
"""The image of a local host."""
BASES = ROOT / "tools/base/Dockerfile"
"""The digests of base images."""


def is_checkout() -> bool:
    """Tell whether this is a checkout of Slipway, which has its tests and the tools for them."""
    return ROOT != IN_WHEEL
