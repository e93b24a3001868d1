"""Lynis finds nothing but what lynis.prf lists with its reason. In a container it skips what needs a kernel, a boot loader or disks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LEAST = 75
"""The index of 100 with all that Lynis counts; a site without TLS."""
LEAST_WITHOUT_DEVIATIONS = 96
"""The index with what lynis.prf lists left out."""


@pytest.fixture
def lynis(host: Any) -> Iterator[None]:
    host.check_output("NEEDRESTART_SUSPEND=1 apt-get install --yes --quiet --no-install-recommends lynis")
    yield
    host.check_output("NEEDRESTART_SUSPEND=1 apt-get purge --yes --quiet lynis; rm -rf /etc/lynis")


def audit(host: Any) -> tuple[int, list[str]]:
    """Return the hardening index, and what Lynis warns of and suggests."""
    host.check_output("lynis audit system --quick --quiet --no-colors")
    rows = host.check_output("cat /var/log/lynis-report.dat").splitlines()
    index = next(int(row.partition("=")[2]) for row in rows if row.startswith("hardening_index="))
    print(f"hardening index: {index}")
    return index, [row for row in rows if row.startswith(("suggestion[]=", "warning[]=")) and "=LYNIS|" not in row]


@pytest.mark.catalogue
@pytest.mark.usefixtures("lynis")
def test_lynis_finds_what_is_listed_and_nothing_else(host: Any) -> None:
    index, _ = audit(host)
    host.check_output("printf %%s %s >/etc/lynis/custom.prf", Path(__file__).with_name("lynis.prf").read_text())
    without, found = audit(host)
    assert found == []
    # Other systems have another version, which counts other tests.
    if host.system_info.codename == "trixie":
        assert index >= LEAST
        assert without >= LEAST_WITHOUT_DEVIATIONS
