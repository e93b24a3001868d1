"""Traffic, status and audit of a VM name the same release."""

from typing import Any

from tests.vm.site import Site

SERVES_SECONDS = 600
"""From power-on, emulated on a busy machine."""


def until_serving(site: Site) -> str:
    """Wait until the site answers from outside. Returns the release."""
    site.machine.wait(lambda: site.serving() is not None, SERVES_SECONDS)
    release = site.serving()
    assert release
    return release


def assert_all_agree(site: Site) -> str:
    """Assert that they do, that the host is healthy and idle, and that no unit failed. Returns the release."""
    return str(agreed_status(site)["live"])


def agreed_status(site: Site) -> dict[str, Any]:
    """Assert the same. Returns the status."""
    release, status = until_serving(site), dict[str, Any]()

    def is_idle() -> bool:
        status.update(site.status())
        return status["lock"] is None

    # Booted: `recover` has ended, too.
    site.machine.wait(is_idle)
    assert (status["state"], status["live"], status["canary"]) == ("healthy", release, release), status
    assert status["problem"] is None
    activations = [each for each in status["history"] if each["what"] in {"deploy", "rollback"}]
    assert activations[-1]["live"] == release, activations
    states = {each["release"]: each["state"] for each in status["releases"]}
    assert states[release] == "live", states
    assert site.machine.shell("systemctl list-units --failed --plain --no-legend") == ""
    return status
