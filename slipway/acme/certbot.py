"""Calls of certbot, and what it tells of the CA's reason."""

import re
import shutil
import subprocess
from pathlib import Path

from slipway.acme.certificate import CertificateError, check
from slipway.acme.settings import LETS_ENCRYPT, Settings, folder
from slipway.model.errors import SlipwayError

TIMEOUT_SECONDS = 600
PROFILES_SINCE = (4, 0)
"""The version of certbot that has profiles."""

# certbot 2.1 on Python 3.11 (Debian 12) fails in this way after an error of the CA, which it prints in its log alone.
_HIDDEN = "can't set attribute"
_FULL = "No space left on device"
"""Certbot fails again when it logs this, with a traceback."""
_BINDING = "Please use --eab-kid and --eab-hmac-key."
_ENDS = re.compile(r"^(Hint:|Ask for help|Some challenges|See the logfile|- - -|Saving debug log)")
_ACCOUNT_LOST = re.compile(r"accountDoesNotExist|[Aa]ccount\b.*(deactivated|revoked|not found|does(n't| not) exist)")


class CertbotError(SlipwayError):
    """certbot did not obtain a certificate: the CA's reason."""


def obtain(settings: Settings, name: str, credentials: Path | None, *, trial: bool) -> None:
    """Obtain or renew the certificate of a name, if certbot finds that it is due.

    `trial`: rehearse it first at Let's Encrypt's staging CA, whose limits are far away: what fails there fails without
    using up those of the real one.

    Raises:
        CertbotError: it failed, and why.
    """
    if trial and settings.directory == LETS_ENCRYPT:
        _certonly(settings, name, credentials, "--dry-run")
    try:
        _certonly(settings, name, credentials)
    except CertbotError as error:
        if not _ACCOUNT_LOST.search(str(error)):
            raise
        # The CA forgot or closed the account, or the host was restored from before it: register a new one.
        shutil.rmtree(settings.certbot / "accounts", ignore_errors=True)
        _certonly(settings, name, credentials)
    if _is_damaged(settings, name):
        _certonly(settings, name, credentials, "--force-renewal")


def _is_damaged(settings: Settings, name: str) -> bool:
    """Whether certbot keeps files that no server can use: the disk was full, or the power failed."""
    live = settings.certbot / "live" / folder(name)
    try:
        check(live / "fullchain.pem", live / "privkey.pem", name)
    except CertificateError as error:
        return error.damaged
    return False


def delete(settings: Settings, lineage: str) -> None:
    """Forget a name with its certificate and key.

    Raises:
        CertbotError: it failed, and why.
    """
    _run(settings, "delete", "--cert-name", lineage)


def lineages(settings: Settings) -> set[str]:
    """The names that certbot has a certificate of."""
    return {path.stem for path in (settings.certbot / "renewal").glob("*.conf")}


def read(settings: Settings, name: str) -> str:
    """Return the key and the certificate with its chain; empty if there are none."""
    live = settings.certbot / "live" / folder(name)
    try:
        return (live / "privkey.pem").read_text() + (live / "fullchain.pem").read_text()
    except FileNotFoundError:
        return ""


def command(settings: Settings, name: str, credentials: Path | None, version: tuple[int, ...]) -> list[str]:
    """The arguments of certbot for a name. `credentials`: the folder of those that systemd loaded."""
    options = ["certonly", "--keep-until-expiring", "--cert-name", folder(name), "--domains", name, "--agree-tos"]
    options += (
        ["--email", settings.email, "--no-eff-email"] if settings.email else ["--register-unsafely-without-email"]
    )
    if settings.profile and version >= PROFILES_SINCE:
        options += ["--preferred-profile", settings.profile]
    if settings.eab:
        options += ["--config", f"{credentials}/eab"]
    if not settings.dns:
        return [*options, "--webroot", "--webroot-path", str(settings.challenges)]
    options += [f"--dns-{settings.dns}"]
    if settings.dns != "route53":
        options += [f"--dns-{settings.dns}-credentials", f"{credentials}/dns"]
        options += [f"--dns-{settings.dns}-propagation-seconds", str(settings.dns_seconds)]
    return options


def reason(output: str) -> str:
    """Return what the CA says in certbot's output, in one line."""
    if _FULL in output:
        return _FULL
    lines = [line.strip() for line in output.replace(_BINDING, "Set nginx_acme_eab in secrets.yml.").splitlines()]
    details = [line.partition("Detail:")[2].strip() for line in lines if line.startswith("Detail:")]
    types = [line.partition("Type:")[2].strip() for line in lines if line.startswith("Type:")]
    if details:
        return f"{types[0]}: {details[0]}" if types else details[0]
    marks = [number for number, line in enumerate(lines) if "unexpected error occurred" in line]
    told = lines[marks[-1] + 1 :] if marks else lines
    kept = [line for line in told if line and not _ENDS.match(line)]
    text = " ".join(kept if marks else kept[-2:])
    return re.sub(r"^[\w.]+(Error|Exception|Timeout): ", "", text) or "certbot says nothing"


def _certonly(settings: Settings, name: str, credentials: Path | None, *options: str) -> None:
    version = _version() if settings.profile else ()
    _run(settings, *command(settings, name, credentials, version), *options)


def _version() -> tuple[int, ...]:
    shown = subprocess.run(["certbot", "--version"], capture_output=True, text=True, check=False).stdout
    return tuple(int(number) for number in re.findall(r"\d+", shown)[:2])


def _run(settings: Settings, verb: str, *options: str) -> None:
    folders = [
        f"--{kind}-dir={settings.certbot / sub}" for kind, sub in (("config", "."), ("work", "work"), ("logs", "log"))
    ]
    line = [
        "certbot",
        verb,
        "--non-interactive",
        "--server",
        settings.directory,
        "--max-log-backups=5",
        *folders,
        *options,
    ]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise CertbotError(f"the CA did not answer within {TIMEOUT_SECONDS // 60} minutes") from None
    if done.returncode:
        text = reason(done.stdout + done.stderr)
        raise CertbotError(_logged(settings.certbot / "log/letsencrypt.log") if text == _HIDDEN else text)


def _logged(log: Path) -> str:
    """Return the last error of the CA in certbot's log."""
    try:
        found = re.findall(r"^acme\.messages\.Error: (.+)$", log.read_text(errors="replace"), re.MULTILINE)
    except OSError:
        found = []
    return found[-1] if found else f"certbot failed without a reason (see {log})"
