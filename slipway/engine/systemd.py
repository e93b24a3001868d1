"""The host's systemd: starts, stops and looks at units, and reads the journal."""

import json
import os
import shlex
import subprocess
from dataclasses import dataclass
from typing import Any

from slipway.engine.crashes import CRASH_EVENTS, OUT_OF_MEMORY, PROCESS_EXIT, RESTART, Crashes, size
from slipway.engine.crashes import ending as how_it_ended
from slipway.engine.errors import SystemdError


@dataclass(frozen=True)
class UnitState:
    """A unit as systemd sees it (see systemctl(1), `show`)."""

    active: str
    sub: str
    restarts: int
    exit_status: int
    killed: bool = False
    """The exit status is a signal's number."""

    @property
    def running(self) -> bool:
        """The unit is up."""
        return self.active == "active"

    @property
    def crashed(self) -> bool:
        """The unit ended although nobody stopped it, and is down or was started again."""
        return self.restarts > 0 or self.active == "failed" or self.sub in {"auto-restart", "auto-restart-queued"}

    @property
    def ending(self) -> str:
        """How it ended, for a message; empty for a unit that was started again already: the journal knows."""
        return how_it_ended(self.exit_status, self.killed)

    @property
    def stopping(self) -> bool:
        """The unit was stopped and finishes its work."""
        return self.active == "deactivating"

    @property
    def ended(self) -> bool:
        """The unit is down, and neither starting nor stopping."""
        return self.active in {"inactive", "failed"}


UNIT_ENDED = frozenset({"7ad2d189f7e94e70a38c781354912448", "d9b373ed55a64feb8242e02dbe79a49c"})
"""SD_MESSAGE_UNIT_SUCCESS and SD_MESSAGE_UNIT_FAILURE_RESULT (systemd/sd-messages.h)."""

UNSET = 2**64 - 1
"""systemd's number for one that is not known."""

NAMESPACE = "app"
"""The journal of the app's units (LogNamespace= in systemd/sandbox.conf). What PID 1 logs of them is in the host's."""
BOTH_JOURNALS = f"--namespace=+{NAMESPACE}"

Cursor = tuple[str, str]
"""A place in the app's journal and one in the host's. Empty: the beginning."""


@dataclass(frozen=True)
class Entry:
    """A line of the journal about a unit."""

    message: str
    by_unit: bool
    """The unit wrote it; False: systemd did."""
    exit_status: int | None = None
    """Of the unit's process, in the line by which systemd logs its end."""
    end: bool = False
    """systemd reports that the unit has ended."""


class Systemd:
    """systemctl and journalctl. polkit lets `deploy` start and stop its own units; no password, no root."""

    def start(self, *units: str, wait: bool = True, timeout: float = 120) -> None:
        """Start units. `timeout` in seconds.

        Raises:
            SystemdError: systemctl failed, or was not done in time.
        """
        self._control("start", *units, wait=wait, timeout=timeout)

    def stop(self, *units: str, wait: bool = True, timeout: float = 120) -> None:
        """Stop units. `timeout` in seconds.

        Raises:
            SystemdError: systemctl failed, or was not done in time.
        """
        self._control("stop", *units, wait=wait, timeout=timeout)

    def restart(self, *units: str, timeout: float = 120) -> None:
        """Restart units. `timeout` in seconds.

        Raises:
            SystemdError: systemctl failed, or was not done in time.
        """
        self._control("restart", *units, wait=True, timeout=timeout)

    def state(self, unit: str) -> UnitState:
        """Read the state of a unit; one that is not loaded is inactive."""
        names = "ActiveState,SubState,NRestarts,ExecMainStatus,ExecMainCode"
        shown = self._run("systemctl", "show", f"--property={names}", unit).stdout
        values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        return UnitState(
            active=values.get("ActiveState", "inactive"),
            sub=values.get("SubState", "dead"),
            restarts=int(values.get("NRestarts") or 0),
            exit_status=int(values.get("ExecMainStatus") or 0),
            killed=values.get("ExecMainCode") in {str(os.CLD_KILLED), str(os.CLD_DUMPED)},
        )

    def result(self, unit: str) -> tuple[str, float] | None:
        """The last result of a unit that runs to an end, as systemd names it (`success`), and its time (epoch seconds).

        None: the unit runs just now, or has not run since the host started.
        """
        names = "Result,ExecMainExitTimestamp"
        shown = self._run("systemctl", "show", "--timestamp=unix", f"--property={names}", unit).stdout
        values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        at = values.get("ExecMainExitTimestamp", "").removeprefix("@")
        return (values["Result"], float(at)) if at and float(at) else None

    def loaded(self, pattern: str) -> list[str]:
        """Names of the units that match a pattern and are not plainly inactive."""
        listed = self._run(
            "systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager", "--full", pattern
        ).stdout
        rows = [line.split() for line in listed.splitlines()]
        return [row[0] for row in rows if len(row) > 3 and row[2] != "inactive"]

    def journal(self, unit: str, lines: int = 30, since: str | None = None) -> list[str]:
        """The last lines that a unit wrote."""
        # Backwards: with --since, systemd 252 takes --lines for the first ones, not the last.
        command = [
            "journalctl",
            BOTH_JOURNALS,
            "--quiet",
            "--no-pager",
            "--output=cat",
            "--reverse",
            f"--unit={unit}",
            f"--lines={lines}",
        ]
        if since:
            command.append(f"--since={since}")
        return self._run(*command).stdout.splitlines()[::-1]

    def sync_journals(self, unit: str, timeout: float) -> bool:
        """Wait until both journals have all that was logged until now, for at most `timeout` seconds.

        journald reads a program's last lines when it gets to it, which can be long after the end of the program.
        `unit` names the release. Returns False if it did not work out: journald stands still, or an app that never
        stops to write keeps it from answering.
        """
        release = unit.partition("@")[2].removesuffix(".service")
        try:
            self.start(f"journal-sync@{release}.service", timeout=timeout)
        except SystemdError:
            return False
        return True

    def cursor(self) -> Cursor:
        """Where the journals end now."""
        return self._end(f"--namespace={NAMESPACE}"), self._end()

    def entries_since(self, unit: str, cursor: Cursor) -> tuple[list[Entry], Cursor]:
        """What a unit wrote after a place in the journals, what systemd logged about it, and the place to go on from.

        A program may log any field. So how it ended is taken from the host's journal, where it cannot write, and there
        from PID 1 alone: journald itself sets the fields that begin with an underscore.
        """
        # The host's first: all that the unit wrote before its end is then found with the end, or was before.
        logged, host = self._after(cursor[1], "_PID=1", f"UNIT={unit}")
        written, app = self._after(cursor[0], f"--namespace={NAMESPACE}", f"_SYSTEMD_UNIT={unit}")
        entries = [Entry(_text(values.get("MESSAGE")), by_unit=True) for values in written]
        for values in logged:
            status = values.get("EXIT_STATUS")
            entries.append(
                Entry(
                    _text(values.get("MESSAGE")),
                    by_unit=False,
                    exit_status=None if status is None else int(status),
                    end=values.get("MESSAGE_ID") in UNIT_ENDED,
                )
            )
        return entries, (app, host)

    def _end(self, *options: str) -> str:
        """Where a journal ends; empty if nothing is in it."""
        command = ["journalctl", *options, "--quiet", "--lines=1", "--output=json", "--output-fields=__CURSOR"]
        shown = self._run(*command).stdout
        return str(json.loads(shown)["__CURSOR"]) if shown.strip() else ""

    def _after(self, cursor: str, *options: str) -> tuple[list[dict[str, Any]], str]:
        """The entries after a place in a journal, and the place to go on from."""
        # --all: without it, a field of more than 4,096 bytes is null.
        command = ["journalctl", "--quiet", "--no-pager", "--output=json", "--all"]
        command += [f"--after-cursor={cursor}"] if cursor else []
        entries = [json.loads(line) for line in self._run(*command, *options).stdout.splitlines()]
        return entries, str(entries[-1]["__CURSOR"]) if entries else cursor

    def crashes(self, unit: str, since: float) -> Crashes:
        """How a unit crashed since a time (epoch seconds), by what PID 1 logged: no program can write that."""
        kinds = [f"MESSAGE_ID={kind}" for kind in (RESTART, PROCESS_EXIT, OUT_OF_MEMORY)]
        entries, _ = self._after("", f"--since=@{since:.3f}", "_PID=1", f"UNIT={unit}", *kinds)
        return Crashes.read(entries)

    def all_crashes(self, since: float) -> dict[str, Crashes]:
        """The same of every unit that crashed since then, by its name."""
        kinds = [f"MESSAGE_ID={kind}" for kind in (RESTART, PROCESS_EXIT, OUT_OF_MEMORY)]
        entries, _ = self._after("", f"--since=@{since:.3f}", "_PID=1", *kinds)
        by_unit: dict[str, list[dict[str, Any]]] = {}
        for entry in entries:
            by_unit.setdefault(_text(entry.get("UNIT")), []).append(entry)
        found = {unit: Crashes.read(each) for unit, each in by_unit.items() if unit}
        return {unit: each for unit, each in found.items() if each.restarts or each.kills}

    def crash_events(self, since: float, limit: int = 1000) -> list[dict[str, Any]]:
        """What PID 1 logged of crashes since a time (epoch seconds), the last ones first: `at`, `unit` and `what`."""
        kinds = [f"MESSAGE_ID={kind}" for kind in CRASH_EVENTS]
        # Backwards, as in `journal`.
        shown = ("--quiet", "--no-pager", "--output=json", "--reverse", f"--lines={limit}", f"--since=@{since:.3f}")
        entries = map(json.loads, self._run("journalctl", *shown, "_PID=1", *kinds).stdout.splitlines())
        return [
            {
                "at": int(entry["__REALTIME_TIMESTAMP"]) / 1e6,
                "unit": _text(entry.get("UNIT")),
                "what": CRASH_EVENTS[_text(entry.get("MESSAGE_ID"))],
            }
            for entry in entries
        ]

    def memory(self, unit: str) -> dict[str, int | None]:
        """Bytes that a unit takes now (`current`), took at most (`peak`) and may take (`max`); None: not known."""
        names = ("MemoryCurrent", "MemoryPeak", "MemoryMax")  # systemd before 254 has no peak
        shown = self._run("systemctl", "show", f"--property={','.join(names)}", unit).stdout
        values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        found = {name.removeprefix("Memory").lower(): values.get(name, "") for name in names}
        return {name: int(text) if text.isdigit() and int(text) < UNSET else None for name, text in found.items()}

    def memory_max(self, unit: str) -> str:
        """The memory that a unit may have, for people."""
        return size(self._run("systemctl", "show", "--property=MemoryMax", "--value", unit).stdout.strip())

    def environment(self, unit: str) -> dict[str, str]:
        """The variables that a unit sets, without those of files."""
        shown = self._run("systemctl", "show", "--property=Environment", "--value", unit).stdout
        return {name: value for name, _, value in (word.partition("=") for word in shlex.split(shown))}

    def main_process(self, unit: str) -> int:
        """The process id of a unit's main process; 0 if there is none."""
        return int(self._run("systemctl", "show", "--property=MainPID", "--value", unit).stdout.strip() or 0)

    def _control(self, verb: str, *units: str, wait: bool, timeout: float) -> None:
        if not units:
            return
        command = ["systemctl", "--no-ask-password", verb, *units]
        if not wait:
            command.insert(2, "--no-block")
        try:
            done = self._run(*command, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise SystemdError(f"`{' '.join(command)}` was not done within {timeout:g} s") from None
        if done.returncode:
            raise SystemdError(done.stderr.strip() or f"exit status {done.returncode}")

    @staticmethod
    def _run(*command: str, timeout: float = 30) -> "subprocess.CompletedProcess[str]":
        # systemctl itself gives up after 25 s in which PID 1 does not answer, which is too soon on a busy host
        # (https://systemd.io/ENVIRONMENT).
        environment = os.environ | {"SYSTEMD_BUS_TIMEOUT": f"{timeout:g}s"}
        # What an app logs need not be UTF-8, and must not hide the cause of a failure.
        return subprocess.run(
            command,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )


def _text(value: Any) -> str:
    """A field of the journal: a list of bytes where it is no UTF-8, a list of values where it was logged twice."""
    if isinstance(value, list) and all(isinstance(each, int) for each in value):
        return bytes(value).decode(errors="replace")
    if isinstance(value, list):
        return "\n".join(map(_text, value))
    return value or ""
