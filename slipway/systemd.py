"""The host's systemd: starts, stops and looks at units, and reads the journal."""

import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class UnitState:
    """A unit as systemd sees it (see systemctl(1), `show`)."""

    active: str
    sub: str
    result: str
    restarts: int
    exit_status: int
    invocation: str

    @property
    def running(self) -> bool:
        """It is up."""
        return self.active == "active"

    @property
    def crashed(self) -> bool:
        """It ended although nobody asked it to, and is down or was started again."""
        return self.restarts > 0 or self.active == "failed" or self.sub in {"auto-restart", "auto-restart-queued"}

    @property
    def ended(self) -> bool:
        """It is down and nothing is under way to change that."""
        return self.active in {"inactive", "failed"}


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
        names = "ActiveState,SubState,Result,NRestarts,ExecMainStatus,InvocationID"
        shown = self._run("systemctl", "show", f"--property={names}", unit).stdout
        values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        return UnitState(
            active=values.get("ActiveState", "inactive"),
            sub=values.get("SubState", "dead"),
            result=values.get("Result", ""),
            restarts=int(values.get("NRestarts") or 0),
            exit_status=int(values.get("ExecMainStatus") or 0),
            invocation=values.get("InvocationID", ""),
        )

    def loaded(self, pattern: str) -> list[str]:
        """Names of the units that match a pattern and are not plainly inactive."""
        listed = self._run(
            "systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager", "--full", pattern
        ).stdout
        rows = [line.split() for line in listed.splitlines()]
        return [row[0] for row in rows if len(row) > 3 and row[2] != "inactive"]

    def journal(self, unit: str, lines: int = 30, since: str | None = None) -> list[str]:
        """The last lines that a unit wrote."""
        command = ["journalctl", "--quiet", "--no-pager", "--output=cat", f"--unit={unit}", f"--lines={lines}"]
        if since:
            command.append(f"--since={since}")
        return self._run(*command).stdout.splitlines()

    def _control(self, verb: str, *units: str, wait: bool, timeout: float) -> str | None:
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
