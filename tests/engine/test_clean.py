"""slipway clean: what an attacker's processes may be called. What it removes is tested on a host (verify/clean)."""

import os
import subprocess

from slipway.engine import clean

RENAMED = r"printf '\377\376' >/proc/$$/comm; echo renamed; read -r _"


def test_a_process_whose_name_is_no_text_is_found() -> None:
    with subprocess.Popen(["sh", "-c", RENAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"renamed\n"
        found = clean._processes(os.getuid())
    assert any(name.endswith(f"({process.pid})") for name in found)
