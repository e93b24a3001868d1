"""Lynis finds nothing but what lynis.prf lists with its reason. In a container it skips what needs a kernel, a boot loader or disks."""

from pathlib import Path
from typing import Any

import pytest

LEAST = 84


@pytest.mark.catalogue
def test_lynis_finds_what_is_listed_and_nothing_else(host: Any) -> None:
    host.check_output("NEEDRESTART_SUSPEND=1 apt-get install --yes --quiet --no-install-recommends lynis")
    host.check_output("printf %%s %s >/etc/lynis/custom.prf", Path(__file__).with_name("lynis.prf").read_text())
    try:
        host.check_output("lynis audit system --quick --quiet --no-colors")
        rows = host.check_output("cat /var/log/lynis-report.dat").splitlines()
    finally:
        host.check_output("NEEDRESTART_SUSPEND=1 apt-get purge --yes --quiet lynis")
    found = [row for row in rows if row.startswith(("suggestion[]=", "warning[]=")) and "=LYNIS|" not in row]
    index = next(int(row.partition("=")[2]) for row in rows if row.startswith("hardening_index="))
    print(f"hardening index: {index}")
    assert found == []
    assert index >= LEAST
