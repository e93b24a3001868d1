"""The folders of an image that its app may write (app_writable): which paths systemd may mount on."""

import re

from slipway.model.errors import UsageError

WRITABLE = re.compile(r"(/[A-Za-z0-9_.][A-Za-z0-9_.-]*)+")
UNWRITABLE = (
    *("/.slipway", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/tmp", "/usr"),  # noqa: S108
    *("/home", "/root", "/var/lib/app", "/var/tmp"),  # noqa: S108
)
"""The system's, and what the units mount or hide."""


def check_writable(paths: list[str]) -> None:
    """Check the folders that the app may write, before systemd mounts on them as root.

    Raises:
        UsageError: one is no plain path, is the system's or mounted anyway, or lies in another.
    """
    for path in paths:
        if not WRITABLE.fullmatch(path) or {".", ".."} & set(path.split("/")):
            raise UsageError(
                f"app_writable has {path!r}: write a folder's absolute path (letters, digits, '.', '_' and '-'), as in "
                "/app/data"
            )
        if taken := [
            each for each in UNWRITABLE if f"{path}/".startswith(f"{each}/") or f"{each}/".startswith(f"{path}/")
        ]:
            raise UsageError(
                f"app_writable has {path}, and {taken[0]} is not the app's to write or is mounted anyway: name the "
                "folder of the app itself, as in /app/data"
            )
        if inside := [each for each in paths if each != path and f"{path}/".startswith(f"{each}/")]:
            raise UsageError(f"app_writable has {path}, which lies in {inside[0]}: leave one of them out")
    if len(set(paths)) < len(paths):
        raise UsageError(f"app_writable has a folder twice: {', '.join(paths)}")
