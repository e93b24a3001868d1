"""Trees of this repository's own history, as a fork of then has them, with environments of their own in .cache/upgrade."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from labs.command import ROOT, run

FOLDER = ROOT / ".cache/upgrade"
ENVIRONMENT = "shop"
"""The inventory that the fork has of its own, in ansible/inventories/."""
INHERITED = ("SLIPWAY_CHECKOUT", "VIRTUAL_ENV", "ANSIBLE_CONFIG", "PYTHONPATH")


@dataclass(frozen=True)
class Old:
    """A fork of Slipway as it was at a commit."""

    name: str
    commit: str

    @property
    def tree(self) -> Path:
        """Its folder."""
        return FOLDER / self.name

    def make(self) -> None:
        """Check the commit out, without what an earlier run changed, and install its tools."""
        known = ["git", "cat-file", "-e", f"{self.commit}^{{commit}}"]
        if subprocess.run(known, cwd=ROOT, capture_output=True, check=False).returncode:
            pytest.fail(f"this clone does not have {self.commit[:7]}, which is upgraded from: git fetch --unshallow")
        if not (self.tree / ".git").exists():
            run("git", "worktree", "prune")
            run("git", "worktree", "add", "--detach", "--force", str(self.tree), self.commit)
        run("git", "-C", str(self.tree), "checkout", "--quiet", "--force", self.commit)
        self.run("tools/bootstrap")

    def write_inventory(self, hosts: Path) -> None:
        """Write an environment of the old kind: the tree's own example, with a host that there is."""
        inventory = self.tree / "ansible/inventories" / ENVIRONMENT
        shutil.rmtree(inventory, ignore_errors=True)
        (inventory / "group_vars").mkdir(parents=True)
        example = inventory.parent / "local"
        shutil.copy2(example / "group_vars/all.yml", inventory / "group_vars")
        shutil.copy2(example / "settings.env", inventory)
        shutil.copy2(hosts, inventory / "hosts.yml")
        secrets = "\napp_secrets: {EXAMPLE_SECRET: not-much-of-a-secret}\n"
        with (inventory / "group_vars/all.yml").open("a") as variables:
            variables.write(secrets)

    def remove_inventory(self) -> None:
        """Leave the tree as git has it, but for the app."""
        shutil.rmtree(self.tree / "ansible/inventories" / ENVIRONMENT, ignore_errors=True)

    def change_app(self, title: str) -> None:
        """Change a line of its app, so that its next image is another one."""
        with (self.tree / "app/main.py").open("a") as code:
            code.write(f"\napp.title = {title!r}\n")

    def run(self, *command: str, folder: str = "") -> str:
        """Run a command of the old tree. Returns what it printed."""
        done = self.attempt(*command, folder=folder)
        printed = done.stdout + done.stderr
        assert done.returncode == 0, f"{' '.join(command)[:200]}, in {self.tree}:\n{printed[-6000:]}"
        return done.stdout

    def play(self, playbook: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run one of its playbooks by its own Ansible."""
        extra = [f"--extra-vars={name}={value}" for name, value in variables.items()]
        inventory = f"--inventory=inventories/{ENVIRONMENT}"
        return self.attempt("../tools/run", "ansible-playbook", inventory, *extra, playbook, folder="ansible")

    def slipway(self, *arguments: str) -> str:
        """Run today's tool in the old tree, as somebody who has installed it. Returns what it printed."""
        return self.run(str(Path(sys.executable).parent / "slipway"), *arguments)

    def attempt(self, *command: str, folder: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in the old tree, with nothing of this one's environment."""
        clean = {name: value for name, value in os.environ.items() if name not in INHERITED}
        clean["PATH"] = ":".join(each for each in clean["PATH"].split(":") if not each.startswith(f"{ROOT}/"))
        return subprocess.run(
            command,
            cwd=self.tree / folder,
            env=clean,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


BEFORE_MODEL = Old("before-model", "5c9c2463cc012db98453a3f9cdd6cdea6e0ec8c9")
"""The last commit of the engine that had no network for each unit, no `model`, and called itself by no version."""
BEFORE_TOOL = Old("0.9", "225d35d3549baab2f6b469b2f3938bff2392d1d3")
"""The last commit before Slipway was a tool: 0.9. Releases were deploy's own, not yet sealed."""
