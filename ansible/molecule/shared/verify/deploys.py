"""Deploys that tests run, look at and kill."""

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import killing
from tools.checkout import APP_IMAGES

ROOT = Path(__file__).resolve().parents[4]
ANSIBLE = ROOT / "ansible"
SCENARIO = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
NAME = f"molecule-{os.environ['MOLECULE_SCENARIO_NAME']}"
HOSTS = ROOT / ".cache" / "hosts"
IMAGE = f"{APP_IMAGES}:molecule-faulty"
ENVIRONMENT = os.environ | {"ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "false"}


def examples(cases: Iterable[str], *chosen: str) -> list[Any]:
    """Cases for `parametrize`; those that are not chosen are only in the catalogue."""
    return [case if case in chosen else pytest.param(case, marks=pytest.mark.catalogue) for case in cases]


def playbook(*arguments: str, hosts: Sequence[str] = (NAME,)) -> list[str]:
    """The command that runs a playbook on hosts of the scenario; with ANSIBLE as its folder, ENVIRONMENT as its environment."""
    return [
        "ansible-playbook",
        f"--inventory={SCENARIO}/inventory",
        *(f"--inventory={HOSTS}/{name}/inventory.yml" for name in hosts),
        *arguments,
    ]


def run_playbook(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook on the scenario's host to its end."""
    return subprocess.run(
        playbook(*arguments),
        cwd=ANSIBLE,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,  # on a busy machine; otherwise a minute
    )


class Deploy:
    """`ansible-playbook deploy.yml`, running, with settings of its own so that it is a new release."""

    def __init__(
        self,
        fault: str = "",
        hosts: Sequence[str] = (NAME,),
        more: Sequence[str] = (),
        image: str = IMAGE,
        setting: str = "",
    ) -> None:
        folder = ROOT / ".cache" / f"{NAME}-deploys"
        folder.mkdir(parents=True, exist_ok=True)
        handle, settings = tempfile.mkstemp(suffix=".env", dir=folder)
        os.write(handle, f"FAULT={fault}\nSERIAL={time.time_ns()}\n{setting}\n".encode())
        os.close(handle)
        self._log = Path(settings).with_suffix(".log")
        variables = (f"--extra-vars=release_image={image}", f"--extra-vars=release_settings_file={settings}")
        with self._log.open("w") as output:
            self.process = subprocess.Popen(
                playbook(*more, *variables, "deploy.yml", hosts=hosts),
                cwd=ANSIBLE,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        return self.process.wait(timeout=300)

    def kill(self) -> None:
        """End it and all that it started, as a runner that goes away does."""
        killing.kill(self.process)

    @property
    def output(self) -> str:
        """What it printed."""
        return self._log.read_text()


class Site:
    """The host as `deploy` sees it."""

    def __init__(self, deployer: Any) -> None:
        self.deployer = deployer

    def status(self) -> dict[str, Any]:
        """What `slipway status` says."""
        answer: dict[str, Any] = json.loads(self.deployer.check_output("slipway status --json"))
        return answer

    def until(self, what: Callable[[dict[str, Any]], bool], seconds: float = 60) -> dict[str, Any]:
        """The status, once it is so. A host that restarts may not respond for a while."""
        deadline = time.monotonic() + seconds
        status: dict[str, Any] = {}
        while time.monotonic() < deadline:
            # What testinfra raises when there is no connection.
            with contextlib.suppress(RuntimeError):
                if what(status := self.status()):
                    return status
            time.sleep(0.2)
        raise AssertionError(f"not within {seconds} s: {status}")

    def running(self) -> set[str]:
        """The releases whose instance or socket is up."""
        units = self.deployer.check_output(
            "systemctl list-units --plain --no-legend --state=active 'app@*.service' 'app@*.socket'"
        )
        return {line.split()[0].removeprefix("app@").rsplit(".", 1)[0] for line in units.splitlines()}

    def heals(self) -> None:
        """The next deploy succeeds without help, and leaves nothing of the one before behind."""
        before = self.status()["live"]
        deploy = Deploy()
        assert deploy.wait() == 0, deploy.output
        # What was retired may still be finishing its last answers.
        status = self.until(lambda status: status["state"] == "healthy" and self.running() == {status["live"]})
        assert status["live"] != before
        assert status["rollback_target"] == before
        partial = self.deployer.check_output("ls -A /srv/app/releases")
        assert ".partial" not in partial, partial
