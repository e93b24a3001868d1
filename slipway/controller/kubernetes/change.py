"""A change of Deployments that is undone if it fails, is interrupted, or loses the cluster."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from slipway.controller.kubernetes import cause
from slipway.controller.kubernetes.environment import Environment
from slipway.controller.kubernetes.kubectl import Kubectl, KubectlError
from slipway.controller.kubernetes.overlay import WEB
from slipway.controller.kubernetes.state import HISTORY, KEPT, State
from slipway.controller.kubernetes.wait import wait
from slipway.model.errors import SlipwayError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a job of CI that is cancelled, a terminal that is closed."""
UNDO_SECONDS = 180


class ChangeError(SlipwayError):
    """A change failed; the message has its cause, and what the Deployments are now."""


class Interrupted(SlipwayError):
    """A signal ended this program."""


@dataclass
class Change:
    """Deployments on their way to a release, and the revisions that they return to."""

    kubectl: Kubectl
    environment: Environment
    verb: str
    state: State
    """As it was before."""
    release: str
    before: dict[str, int]
    """By Deployment; 0: it did not exist."""
    phase: str = ""
    touched: list[str] = field(default_factory=list)

    @contextmanager
    def undone_on_failure(self) -> Iterator[None]:
        """Undo the change if the block fails.

        Raises:
            ChangeError: the block failed, with its cause and what was undone.
        """
        with _interruptible():
            try:
                yield
            except (SlipwayError, OSError) as error:
                # A second signal waits: a change that is half undone would be worse than either end.
                for number in SIGNALS:
                    signal.signal(number, signal.SIG_IGN)
                told = f"{self.verb} of {self.release} failed in {self.phase}: {error}"
                raise ChangeError(f"{told}\n{self._undo()}") from None

    def run(self, phase: str, do: Callable[[], None]) -> None:
        """Run a phase, and tell how long it took."""
        self.phase, began = phase, time.monotonic()
        do()
        print(f"{phase:<12} {time.monotonic() - began:.1f} s", flush=True)

    def rolled_out(self, deployment: str) -> None:
        """Wait until all pods of a Deployment are of the release and ready.

        Raises:
            ChangeError: they do not become so, with the cause.
        """
        selector = cause.selector(deployment, self.release)
        self.wait(deployment, "rollout", "status", f"deployment/{deployment}", selector=selector)

    def wait(self, component: str, *arguments: str, selector: str) -> None:
        """Run a command of kubectl that waits for a component.

        Raises:
            ChangeError: it failed, with the cause.
        """
        try:
            wait(self.kubectl, *arguments, selector=selector)
        except KubectlError as error:
            raise ChangeError(self._cause(component, error)) from None

    def _cause(self, component: str, error: KubectlError) -> str:
        try:
            return cause.explain(self.kubectl, component, self.release, str(error))
        except KubectlError:
            return str(error)

    def complete(self, history: Sequence[str]) -> None:
        """Record the releases that were live, the newest first.

        Raises:
            KubectlError: the cluster refuses it.
        """
        self.kubectl.run("annotate", f"deployment/{WEB}", f"{HISTORY}={' '.join(history[:KEPT])}", "--overwrite")

    def _undo(self) -> str:
        """Return the Deployments to what they were. Returns in words what they are now."""
        environment, live = self.environment.name, self.state.live or "nothing"
        if not self.touched:
            return f"No pod was changed: {live} is live."
        print(f"undoing: {', '.join(reversed(self.touched))} (a second Ctrl-C waits)", flush=True)
        try:
            for name in reversed(self.touched):
                self._return(name)
            returned = [name for name in self.touched if self.before[name]]
            for name in returned:
                self.kubectl.run("rollout", "status", f"deployment/{name}", f"--timeout={UNDO_SECONDS}s")
        except KubectlError as error:
            return (
                f"NOT UNDONE: {error}\nThe cluster goes on by itself with {', '.join(self.touched)}. "
                f"When it answers: slipway status {environment}, then: slipway rollback {environment}"
            )
        removed = [name for name in self.touched if not self.before[name]]
        words = [f"{', '.join(returned)} returned to {live}"] * bool(returned)
        words += [f"{', '.join(removed)} removed: there was none before"] * bool(removed)
        return f"Undone: {'; '.join(words)}."

    def _return(self, name: str) -> None:
        if number := self.before[name]:
            self.kubectl.run("rollout", "undo", f"deployment/{name}", f"--to-revision={number}")
        else:
            self.kubectl.run("delete", f"deployment/{name}", "--ignore-not-found")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn the first signal into an exception, so that the change is undone."""

    def interrupt(number: int, _frame: object) -> None:
        raise Interrupted(f"interrupted by {signal.Signals(number).name}")

    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
