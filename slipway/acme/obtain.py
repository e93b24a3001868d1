"""Obtain and renew the certificates: the program of nginx-acme@.service, as the user nginx-acme.

    python3 -m slipway.acme.obtain due|now

Each name has a certificate of its own, so that one whose DNS is wrong blocks no other.
"""

import fcntl
import math
import os
import sys
import time
from pathlib import Path

from slipway.acme import certbot
from slipway.acme.attempts import Attempts
from slipway.acme.settings import Settings, folder


def main() -> int:
    """Try each name that is due. Returns 1 if one failed."""
    settings = Settings.load()
    if settings is None:
        return 0
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    began = time.time()
    with (settings.state / "lock").open("w") as lock:
        # certbot refuses to run twice at a time.
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = Path(credentials) if credentials else None
        return run(settings, path, waits=sys.argv[1:] != ["now"], before=began)


def run(settings: Settings, credentials: Path | None, *, waits: bool, before: float = math.inf) -> int:
    """Try each name that was not tried since `before` (epoch seconds); with `waits` only those that are due.

    Returns how many failed.
    """
    for name, mode in (("private", 0o700), ("ready", 0o700), ("state", 0o755), ("challenges", 0o755)):
        (settings.state / name).mkdir(mode=mode, exist_ok=True)
    failed = 0
    for name in settings.names:
        last = Attempts.load(settings.record(name))
        now = time.time()
        if before <= last.tried_at <= now or (waits and not last.is_due(now)):
            continue
        failed += not _try(settings, name, credentials, last)
    _forget(settings)
    return failed


def _try(settings: Settings, name: str, credentials: Path | None, last: Attempts) -> bool:
    """Try a name. Whether it did not fail."""
    try:
        certbot.obtain(settings, name, credentials, trial=bool(last.failures) or not certbot.read(settings, name))
        _offer(settings, name)
    except (certbot.CertbotError, OSError) as error:
        after = last.failed(time.time(), str(error))
        print(f"{name}: {error}", file=sys.stderr)
    else:
        after = last.succeeded(time.time())
    try:
        after.save(settings.record(name))
    except OSError as error:
        print(f"{name}: {error}", file=sys.stderr)
    return not after.failures


def _offer(settings: Settings, name: str) -> None:
    """Leave the certificate with its key where root takes it: in one file, which changes at once."""
    text, ready = certbot.read(settings, name), settings.ready(name)
    if ready.exists() and ready.read_text() == text:
        return
    new = ready.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(text)
    new.replace(ready)
    print(f"{name}: has a new certificate")


def _forget(settings: Settings) -> None:
    """Remove what belongs to names that the site no longer has."""
    kept = {folder(name) for name in settings.names}
    for lineage in certbot.lineages(settings) - kept:
        try:
            certbot.delete(settings, lineage)
        except certbot.CertbotError as error:
            print(f"{lineage}: cannot be removed: {error}", file=sys.stderr)
    for path in (*(settings.state / "ready").glob("*"), *(settings.state / "state").glob("*")):
        if path.stem not in kept:
            path.unlink()


if __name__ == "__main__":
    sys.exit(min(main(), 1))
