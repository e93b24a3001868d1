"""Ansible callback: a line for each phase, with how long it took this time and last time. `slipway` chooses it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from ansible import constants as C  # noqa: N812 -- as Ansible's own callbacks have it
from ansible.plugins.callback.default import CallbackModule as Default

from slipway.controller import failure
from slipway.controller.timings import Timings, seconds

DOCUMENTATION = r"""
name: phases
type: stdout
short_description: Print the phases of a deploy, and what fails
description:
  - A phase is a role and the part of its tasks' names before the bar. Before a deploy it is a whole role,
    or all that the play C(Preflight) looks at. Messages of C(debug) are printed as they are, and a phase that only
    prints has no line; of a failure, its message and what its program wrote.
  - SLIPWAY_PHASES=none prints messages and failures alone.
  - SLIPWAY_TIMINGS names the file in which times are kept from run to run.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
"""

_DEBUG = frozenset(("debug", "ansible.builtin.debug"))
# Before and between the tasks of a phase.
_OWN = frozenset(
    (
        *("meta", "ansible.builtin.meta", "ansible.builtin.validate_argument_spec"),
        *("ansible.builtin.include_tasks", "ansible.builtin.include_role"),
    )
)


class CallbackModule(Default):  # type: ignore[misc]
    """The callback."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "phases"

    def __init__(self) -> None:
        super().__init__()
        file = os.environ.get("SLIPWAY_TIMINGS")
        self._timings = Timings.read(Path(file) if file else None)
        self._play, self._phase, self._began, self._is_written = "", "", 0.0, False
        self._is_shown, self._works = os.environ.get("SLIPWAY_PHASES") != "none", False

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Say nothing: the phases tell."""
        self._play = play.get_name()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002 -- Ansible's interface
        """Begin a phase if the task is of another one."""
        self._enter(task)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Begin a phase if the handler is of another one."""
        self._enter(task)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Say nothing: most sites have no host for every part."""

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Say nothing: the tasks tell."""

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Say nothing."""

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Say nothing."""

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        """Say nothing."""

    def v2_runner_retry(self, result: Any) -> None:
        """Say nothing: waiting is ordinary."""

    def v2_runner_on_ok(self, result: Any) -> None:
        """Print what a task has to tell people."""
        # A debug task with a handler compares values, to notify the handler.
        if result.task.action in _DEBUG and not result.task.notify and not result.result.get("changed"):
            self._break()
            told = next((value for name, value in result.result.items() if not name.startswith("_") and value), "")
            for line in told if isinstance(told, list) else [told]:
                self._display.display(str(line))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Print a failure, unless a later task judges it."""
        if not ignore_errors and not (result.task.loop and "results" in result.result):  # its items are told already
            self._tell("failed", result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """Print the failure of one item of a loop, unless a later task judges it."""
        if not result.task.ignore_errors:
            self._tell("failed", result, f" ({self._get_item_label(result.result)})")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Print it, unless a later task judges it."""
        if not result.task.ignore_unreachable:
            self._tell("unreachable", result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """End the last phase. After a failure its time says nothing."""
        if stats.failures or stats.dark:
            self._display.display("\nAll that Ansible knows of it: repeat this with -v.")
        else:
            self._end()
        self._timings.save()

    def _tell(self, what: str, result: Any, item: str = "") -> None:
        self._break()
        self._handle_warnings(result.result)
        error = _innermost(result)
        told = [*failure.lines(result.result, error.msg if error else "")]
        if error and error.formatted_source_context:  # where the value stands that cannot be used
            told += filter(None, error.formatted_source_context.splitlines())
        text = "\n    ".join([f"\n{what}: {self.host_label(result)}: {result.task.get_name()}{item}", *told])
        self._display.display(text, color=C.COLOR_ERROR, stderr=self.get_option("display_failed_stderr"))

    def _enter(self, task: Any) -> None:
        if task.action in _OWN:
            return
        phase = self._phase_of(task)
        if phase != self._phase:
            self._end()
            self._phase, self._began, self._is_written = phase, time.monotonic(), False
        if task.action not in _DEBUG and not self._works:
            self._works = True
            if self._is_shown and sys.stdout.isatty():
                last = self._timings.last(phase)
                self._display.display(f"{phase:<24} ... {last}", newline=False)
                self._is_written = True

    def _phase_of(self, task: Any) -> str:
        if self._play == "Preflight":
            return "preflight"
        role = task._role.get_name() if task._role else ""
        part = task.get_name().removeprefix(f"{role} : ")
        if not role:
            return str(part)
        if self._play.startswith("Provision"):
            return str(role)
        return f"{role}: {part.partition(' | ')[0].lower() if ' | ' in part else 'handlers'}"

    def _end(self) -> None:
        if not self._phase:
            return
        if self._works:
            took = time.monotonic() - self._began
            self._timings.add(self._phase, took)
            last = self._timings.last(self._phase)
            start = "\r\x1b[K" if self._is_written else ""
            if self._is_shown:
                self._display.display(f"{start}{self._phase:<24} {seconds(took):>10}{f'  ({last})' if last else ''}")
        self._phase, self._is_written, self._works = "", False, False

    def _break(self) -> None:
        """Leave the line of the phase that is running."""
        if self._is_written:
            self._display.display("")
            self._is_written = False


def _innermost(result: Any) -> Any:
    """Return the error that the others of a failed task wrap, as Ansible keeps it; None if it keeps none."""
    event = getattr(result.exception, "event", None)
    while event and event.chain:
        event = event.chain.event
    return event
