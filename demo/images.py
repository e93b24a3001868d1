"""The images that are deployed: the app with one line changed, and with a mistake."""

from bench.deploying import changed_image
from bench.host import ROOT, run

GOOD = "slipway-app:demo-good"
BAD = "slipway-app:demo-bad"


def good() -> str:
    """Build the app with one more line, in a copy of the working tree; return its name."""
    run("docker", "tag", changed_image(1), GOOD)
    return GOOD


def bad() -> str:
    """Build the app that answers 500 to whoever follows a link (bad/); return its name. `good` comes before."""
    run("docker", "build", "--quiet", f"--build-arg=APP={GOOD}", f"--tag={BAD}", str(ROOT / "demo/bad"))
    return BAD
