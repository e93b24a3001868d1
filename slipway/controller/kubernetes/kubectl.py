"""Calls of kubectl, each for one context and one namespace."""

import json
import shlex
import subprocess
from dataclasses import dataclass
from typing import Any

from slipway.controller.kubernetes.environment import Environment
from slipway.controller.program import require
from slipway.model.errors import SlipwayError

PROGRAM = "kubectl"
QUIET = {"get", "kustomize", "logs"}
"""Their output is read, and not shown."""


class KubectlError(SlipwayError):
    """A command of kubectl failed; the message is what it printed."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl, as it reaches an environment."""

    context: str
    namespace: str
    verbose: bool = False

    @classmethod
    def of(cls, environment: Environment, *, verbose: bool = False) -> "Kubectl":
        """Name the environment.

        Raises:
            ProgramError: kubectl is not installed.
        """
        require(kubectl="reaches the cluster: https://kubernetes.io/docs/tasks/tools")
        return cls(environment.context, environment.namespace, verbose)

    def command(self, *arguments: str) -> list[str]:
        """Return a command as one would type it."""
        return [PROGRAM, f"--context={self.context}", f"--namespace={self.namespace}", *arguments]

    def call(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command, with `text` as its input, and return how it ended."""
        command = self.command(*arguments)
        if self.verbose:
            print(f"$ {shlex.join(command)}", flush=True)
        done = subprocess.run(command, input=text, capture_output=True, text=True, errors="replace", check=False)
        if self.verbose and arguments[0] not in QUIET:
            print(f"{done.stdout}{done.stderr}", end="", flush=True)
        return done

    def run(self, *arguments: str, text: str = "") -> str:
        """Run a command, and return its output.

        Raises:
            KubectlError: it failed.
        """
        done = self.call(*arguments, text=text)
        if done.returncode:
            output = done.stderr.strip() or done.stdout.strip() or "no output"
            raise KubectlError(f"kubectl {shlex.join(arguments)}: {output}")
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """Return what `kubectl get` finds. An object that is not there: {}.

        Raises:
            KubectlError: it failed.
        """
        output = self.run("get", *arguments, "--ignore-not-found", "--output=json")
        found: dict[str, Any] = json.loads(output) if output.strip() else {}
        return found

    def items(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """Return the objects of a kind.

        Raises:
            KubectlError: it failed.
        """
        found: list[dict[str, Any]] = self.get(kind, *([f"--selector={selector}"] if selector else [])).get("items", [])
        return found
