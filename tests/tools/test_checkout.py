"""Two checkouts on one machine do not meet: in names, in ports, in what they remove."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tools.checkout import ROOT

OWN = re.compile(r"slipway-(?:app|stranger|try):|slipway-host-(?!\{)|slipway-try-(?:app|nginx|state)\b")
"""A name that every checkout would have."""


@pytest.fixture
def checkouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two checkouts, as far as the tools of this folder go."""
    monkeypatch.delenv("SLIPWAY_CHECKOUT", raising=False)
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        shutil.copytree(ROOT / "tools", folder / "tools", ignore=shutil.ignore_patterns(".venv", "go", "__pycache__"))
    return folders


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_shell_and_python_derive_the_same_names(checkouts: list[Path]) -> None:
    names = set()
    for folder in checkouts:
        shell = run(folder, "tools/run", "printenv", "SLIPWAY_CHECKOUT")
        python = run(folder, sys.executable, "-c", "import tools.checkout; print(tools.checkout.CHECKOUT)")
        assert shell == python
        names.add(shell)
    assert len(names) == len(checkouts)


def test_no_name_is_fixed() -> None:
    """Base images and those of test hosts are shared: their tags tell what they are made of."""
    files = run(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    fixed = {
        f"{file}: {match[0]}"
        for file in files
        if (ROOT / file).is_file() and not file.startswith("docs/") and file != "tests/tools/test_checkout.py"
        for match in OWN.finditer((ROOT / file).read_text(errors="replace"))
    }
    assert fixed - {"ansible/molecule/shared/group_vars/all.yml: slipway-host-"} == set()


@pytest.fixture
def hosts(checkouts: list[Path]) -> Iterator[list[Path]]:
    """Remove the hosts of both at the end."""
    yield checkouts
    for folder in checkouts:
        run(folder, "tools/host", "down", "same")


@pytest.mark.slow
def test_hosts_of_the_same_name_live_side_by_side(hosts: list[Path]) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda folder: run(folder, "tools/host", "up", "same", "--http-from", "18080"), hosts))
    urls = [run(folder, "tools/host", "url", "same") for folder in hosts]
    assert len(set(urls)) == len(hosts)
    assert all(int(url.rpartition(":")[2]) >= 18080 for url in urls)
    for folder in hosts:
        assert run(folder, "tools/host", "list").startswith("same ")
        assert run(folder, "ssh", "-F", f"{folder}/.cache/hosts/same/ssh_config", "same", "hostname") == "same"
    run(hosts[0], "tools/host", "down", "same")
    assert run(hosts[0], "tools/host", "list") == ""
    assert "running" in run(hosts[1], "tools/host", "list")


@pytest.mark.slow
def test_a_stopped_host_keeps_its_port(hosts: list[Path]) -> None:
    first, second = hosts
    run(first, "tools/host", "up", "same", "--http-from", "18080")
    docker = "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else "docker"
    name = run(first, "tools/run", "sh", "-c", "echo slipway-host-$SLIPWAY_CHECKOUT-same")
    run(first, docker, "stop", "--time=5", name)
    run(second, "tools/host", "up", "same", "--http-from", "18080")
    run(first, "tools/host", "up", "same")
    assert run(first, "tools/host", "url", "same") != run(second, "tools/host", "url", "same")
