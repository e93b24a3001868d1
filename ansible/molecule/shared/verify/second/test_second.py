"""The second release is live, with the first setting."""

from collections.abc import Callable
from typing import Any


def test_it_is_live(live: Callable[[str, str], None]) -> None:
    live("second", "first")


def test_it_is_the_only_one_that_runs(host: Any, status: Any) -> None:
    units = host.check_output("systemctl list-units --plain --no-legend 'app@*.service' 'app@*.socket'").splitlines()
    assert {line.split()[0] for line in units} == {f"app@{status['live']}.service", f"app@{status['live']}.socket"}


def test_a_release_that_failed_is_never_what_a_rollback_returns_to(status: Any) -> None:
    failed = {release["release"] for release in status["releases"] if release["state"] == "failed"}
    assert status["rollback_target"] not in failed
