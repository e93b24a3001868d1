"""A power cut after Ansible reported what it wrote: on a real file system, whose device is copied as it is."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from labs.command import ROOT
from tests.engine.power import Ext4, mounted_ext4

CHANGE = ROOT / "ansible/roles/hardening/tasks/firewall_change.yml"
SITE = ROOT / "ansible/site.yml"
COMMIT_SECONDS = 6
"""ext4 commits names each five seconds, and the content of a new file up to thirty later."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Ext4]:
    """A file system of its own."""
    root = tmp_path / "etc"
    with mounted_ext4(root) as image:
        yield Ext4(root, image=image)


def keep(folder: Path) -> str:
    """Return the command by which the role `hardening` keeps rules, for files in a folder."""
    block = next(task["block"] for task in yaml.safe_load(CHANGE.read_text()) if "block" in task)
    command = str(
        next(task for task in block if task["name"].endswith("Keep the rules"))["ansible.builtin.shell"]["cmd"]
    )
    values = {
        "__hardening_firewall_candidate": folder / "candidate",
        "__hardening_firewall_file": folder / "firewall.nft",
        "__hardening_firewall_file | dirname": folder,
    }
    for name, value in values.items():
        command = command.replace(f"{{{{ {name} }}}}", str(value))
    return command


@pytest.mark.parametrize("seconds", [0, COMMIT_SECONDS])
def test_rules_of_the_firewall_that_were_kept_outlive_it(disk: Ext4, seconds: int) -> None:
    """An empty file would boot as a host without a firewall."""
    (disk.root / "candidate").write_text("rules\n")
    subprocess.run(["sh", "-euc", keep(disk.root)], check=True)
    time.sleep(seconds)
    assert disk.cut(lambda: False) == {"firewall.nft": b"rules\n"}


def test_what_a_provision_wrote_outlives_it(disk: Ext4) -> None:
    plays = [play["name"] for play in yaml.safe_load(SITE.read_text())]
    flush = next(play for play in yaml.safe_load(SITE.read_text()) if play["name"] == "Flush")
    assert plays[-2:] == ["Flush", "Deploy"]  # a deploy syncs what it writes
    assert flush["hosts"] == "app:data"
    last = flush["tasks"][-1]
    (disk.root / "new").write_text("text\n")
    (disk.root / "new").rename(disk.root / "values.conf")
    subprocess.run(last["ansible.builtin.command"]["argv"], check=True)
    assert disk.cut(lambda: False)["values.conf"] == b"text\n"
