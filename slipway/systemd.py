"""The host's systemd: starts, stops and looks at units, and reads the journal."""

import json
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class UnitState:
    """A unit as systemd sees it (see systemctl(1), `show`)."""

    active: str
    sub: str
    restarts: int
    exit_status: int

    @property
    def running(self) -> bool:
        """It is up."""
        return self.active == "active"

    @property
    def crashed(self) -> bool:
        """It ended although nobody asked it to, and is down or was started again."""
        return self.restarts > 0 or self.active == "failed" or self.sub in {"auto-restart", "auto-restart-queued"}

    @property
    def how(self) -> str:
        """How it ended, for a message; nothing of one that was started again already, which has no exit status."""
        return f" (exit status {self.exit_status})" if self.exit_status else ""

    @property
    def leaving(self) -> bool:
        """It was stopped and finishes what it has."""
        return self.active == "deactivating"

    @property
    def ended(self) -> bool:
        """It is down and nothing is under way to change that."""
        return self.active in {"inactive", "failed"}


@dataclass(frozen=True)
class Entry:
    """A line of the journal about a unit."""

    message: str
    by_unit: bool
    """The unit's own words, not systemd's about it."""
    exit_status: int | None = None
    """With it systemd says how the unit's process ended."""


class Systemd:
    """The real thing. polkit lets `deploy` start and stop its own units; no password, no root."""

    def start(self, *units: str, wait: bool = True, timeout: float = 120) -> str | None:
        """Start units. Returns None, or what systemctl said when that failed. `timeout` in seconds."""
        return self._control("start", *units, wait=wait, timeout=timeout)

    def stop(self, *units: str, wait: bool = True, timeout: float = 120) -> str | None:
        """Stop units. Returns None, or what systemctl said when that failed. `timeout` in seconds."""
        return self._control("stop", *units, wait=wait, timeout=timeout)

    def state(self, unit: str) -> UnitState:
        """Look at a unit; one that is not loaded is inactive."""
        names = "ActiveState,SubState,NRestarts,ExecMainStatus"
        shown = self._run("systemctl", "show", f"--property={names}", unit).stdout
        values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        return UnitState(
            active=values.get("ActiveState", "inactive"),
            sub=values.get("SubState", "dead"),
            restarts=int(values.get("NRestarts") or 0),
            exit_status=int(values.get("ExecMainStatus") or 0),
        )

    def result(self, unit: str) -> tuple[str, float] | None:
        """How a unit that runs to an end ended last, in systemd's word (`success`), and when (epoch seconds).

        None: it runs just now, or did not since the host started.
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

    def cursor(self) -> str:
        """Where the journal ends now."""
        shown = self._run("journalctl", "--quiet", "--lines=1", "--output=json", "--output-fields=__CURSOR").stdout
        return str(json.loads(shown)["__CURSOR"]) if shown.strip() else ""

    def said_since(self, unit: str, cursor: str) -> tuple[list[Entry], str]:
        """What was said by and about a unit after a place in the journal, and the place to go on from."""
        shown = self._run(
            "journalctl", "--quiet", "--no-pager", "--output=json", f"--unit={unit}", f"--after-cursor={cursor}"
        ).stdout
        entries = []
        for line in shown.splitlines():
            values = json.loads(line)
            cursor = values["__CURSOR"]
            message = values.get("MESSAGE") or ""
            # A message that is not UTF-8 comes as a list of its bytes.
            text = message if isinstance(message, str) else bytes(message).decode(errors="replace")
            status = values.get("EXIT_STATUS")
            entries.append(
                Entry(text, values.get("_SYSTEMD_UNIT") == unit, int(status) if status is not None else None)
            )
        return entries, cursor

    def main_process(self, unit: str) -> int:
        """The process id of a unit's main process; 0 if there is none."""
        return int(self._run("systemctl", "show", "--property=MainPID", "--value", unit).stdout.strip() or 0)

    def _control(self, verb: str, *units: str, wait: bool, timeout: float) -> str | None:
        if not units:
            return None
        command = ["systemctl", "--no-ask-password", verb, *units]
        if not wait:
            command.insert(2, "--no-block")
        try:
            done = self._run(*command, timeout=timeout)
        except subprocess.TimeoutExpired:
            return f"`{' '.join(command)}` did not come back within {timeout:g} s"
        return None if done.returncode == 0 else (done.stderr.strip() or f"exit status {done.returncode}")

    @staticmethod
    def _run(*command: str, timeout: float = 30) -> "subprocess.CompletedProcess[str]":
        # What an app logs need not be UTF-8, and must not hide the cause of a failure.
        return subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=timeout, check=False
        )
