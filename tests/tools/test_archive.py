"""Base images where no registry answers: whose archive, and whose keys. `make test-all` makes hosts of Ubuntu for real."""

import io
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from slipway.controller.local import HostError, archive
from slipway.controller.local.image import SYSTEMS


@pytest.mark.parametrize("system", [system for system in SYSTEMS if system.startswith("ubuntu-")])
def test_every_ubuntu_that_a_host_can_be_has_a_suite(system: str) -> None:
    suite = archive.SUITES[system.removeprefix("ubuntu-")]
    assert [line.split()[2:] for line in archive.sources(suite)] == [
        [f"{suite}{pocket}", "main", "universe"] for pocket in ("", "-updates", "-security")
    ]


def test_keys_of_ubuntu_that_are_others_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_args, **_options: io.BytesIO(b"another package"))
    with pytest.raises(HostError, match="is not the package with the keys of Ubuntu's archive"):
        archive._ubuntu_keys(tmp_path)


def test_an_archive_of_ubuntu_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(HostError, match=r"^http://archive\.ubuntu\.com/.*cannot be read: .*no route to host"):
        archive._ubuntu_keys(tmp_path)
