"""Why nginx does not start, as it logs to the journal."""

from slipway.engine.systemd import Systemd

UNIT = "nginx.service"
RECENT_SECONDS = 60
"""How old the last error may be. systemd starts nginx again several times a second, so an error that counts is new."""
LINES = 200


def start_error(systemd: Systemd) -> str:
    """Return why nginx does not start just now; empty if the journal does not say so."""
    lines = systemd.journal(UNIT, LINES, since=f"-{RECENT_SECONDS}s")
    errors = [line for line in lines if " [emerg] " in line]
    if not errors:
        return ""
    message = errors[-1].partition(" [emerg] ")[2].partition(": ")[2]
    if "certificate" in message and "Permission denied" in message:
        return f"the certificate cannot be read by www-data: {message}"
    return f"nginx does not start: {message}"
