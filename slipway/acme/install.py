"""Install certificates for nginx: the program of nginx-acme-install.service, as root.

    python3 -m slipway.acme.install [--prepare NAME...]

What nginx reads is a link per name to a folder with the certificate and its key, so that both change at once. With
`--prepare`, when provisioning, each name without a certificate gets a self-signed one, with which nginx starts. http
leads to https only where the folder has `issued.json`.
"""

import json
import os
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path
from pwd import getpwnam

from slipway.acme.certificate import CertificateError, Pair, Validity, check
from slipway.acme.settings import USER, Settings, folder
from slipway.model.errors import SlipwayError

READER = "www-data"
CERTIFICATE, KEY, ISSUED = "certificate.pem", "key.pem", "issued.json"
STORE = ".store"
PERSONS = Path("/etc/letsencrypt/live")
"""Where certbot keeps what a person obtained by hand."""
PROBLEMS = "problems.json"
LOAD_SECONDS = 30
"""How long nginx may take to load a configuration on a busy machine."""
MAX_BYTES = 100_000


def main() -> int:
    """Install what is new. Returns 1 if one was refused."""
    if sys.argv[1:2] == ["--prepare"]:
        # The settings change last: until nginx has the new names, those of before have to stay.
        print("".join(f"{name}\n" for name in prepare(Settings(tuple(sys.argv[2:])))), end="")
        return 0
    settings = Settings.load()
    if settings is None:
        return 0
    return 1 if install(settings) else 0


def prepare(settings: Settings) -> list[str]:
    """Give each name without a certificate a self-signed one. Returns these names."""
    store = settings.served / STORE
    store.mkdir(mode=0o755, parents=True, exist_ok=True)
    placeholder = store / "placeholder"
    if not (placeholder / KEY).exists():
        _self_sign(placeholder)
    changed = [name for name in settings.names if not (settings.link(name) / KEY).exists()]
    for name in changed:
        _point(settings.link(name), _taken_over(settings, name) or placeholder)
    return changed


def _taken_over(settings: Settings, name: str) -> Path | None:
    """Store the certificate that a person's own certbot obtained for a name: it serves until there is a new one."""
    for live in sorted(PERSONS.glob("*")):
        try:
            pair = Pair.parse((live / "privkey.pem").read_text() + (live / "fullchain.pem").read_text())
            _store(target := _folder_of(settings, name, pair), pair, name)
        except (OSError, SlipwayError):
            continue
        return target
    return None


def install(settings: Settings) -> dict[str, str]:
    """Install each certificate that is new, have nginx load them, and keep those that it serves.

    Returns why one was not installed, by name.
    """
    problems: dict[str, str] = {}
    before: dict[str, Path] = {}
    for name in settings.names:
        try:
            if (target := _stage(settings, name)) is not None:
                link = settings.link(name)
                before[name] = link.parent / link.readlink()
                _point(link, target)
        except (SlipwayError, OSError) as error:
            problems[name] = str(error)
    if before:
        _reload()
    for name in [name for name in before if not _is_served(settings, name)]:
        problems[name] = f"nginx did not load it within {LOAD_SECONDS} s (tail /var/log/nginx/error.log)"
        _point(settings.link(name), before.pop(name))
    if problems and before.keys() - problems.keys() != before.keys():
        _reload()
    for name in before:
        _publish(settings.link(name))
        print(f"{name}: nginx serves the new certificate")
    _clean(settings)
    _write(settings.served / PROBLEMS, json.dumps(problems), 0o644)
    for name, problem in problems.items():
        print(f"{name}: {problem}", file=sys.stderr)
    return problems


def served_validity(settings: Settings, name: str) -> Validity | None:
    """Return the validity of the certificate that nginx serves for a name; None if it is the self-signed one."""
    try:
        values = json.loads((settings.link(name) / ISSUED).read_text())
        return Validity(float(values["not_before"]), float(values["not_after"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def problems(settings: Settings) -> dict[str, str]:
    """Why a certificate was not installed, by name."""
    try:
        return dict(json.loads((settings.served / PROBLEMS).read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def _stage(settings: Settings, name: str) -> Path | None:
    """Write and check a new certificate. Returns its folder; None if there is nothing new.

    Raises:
        CertificateError: nginx must not get it.
    """
    text = _read(settings.ready(name))
    current = settings.link(name).resolve()
    # A run before this one did not come to its end.
    unpublished = current if (current / f"{ISSUED}.new").exists() else None
    if not text:
        return unpublished
    pair = Pair.parse(text)
    target = _folder_of(settings, name, pair)
    if target.resolve() == current:
        return unpublished
    _store(target, pair, name)
    return target


def _folder_of(settings: Settings, name: str, pair: Pair) -> Path:
    return settings.served / STORE / f"{folder(name)}-{pair.fingerprint[:16]}"


def _store(target: Path, pair: Pair, name: str) -> None:
    """Write a certificate and its key, and check them.

    Raises:
        CertificateError: nginx must not get them.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o755)
    _write(target / CERTIFICATE, pair.chain, 0o644)
    _write(target / KEY, pair.key, 0o640, READER)
    validity = check(target / CERTIFICATE, target / KEY, name)
    for file in (CERTIFICATE, KEY):
        _verify_readable(target / file)
    facts = {"not_before": validity.not_before, "not_after": validity.not_after, "sha256": pair.fingerprint}
    _write(target / f"{ISSUED}.new", json.dumps(facts), 0o644)


def _read(path: Path) -> str:
    """Read a file of certbot's user, which may not make root read another one.

    Raises:
        CertificateError: it is not a plain file of that user.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    with os.fdopen(file) as opened:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != getpwnam(USER).pw_uid or found.st_size > MAX_BYTES:
            raise CertificateError(f"{path} is no plain file of {USER}")
        return opened.read(MAX_BYTES)


def _verify_readable(path: Path) -> None:
    """Open a file as nginx does.

    Raises:
        CertificateError: nginx cannot.
    """
    done = subprocess.run(
        ["/usr/bin/test", "-r", path], user=READER, group=READER, extra_groups=[], check=False, capture_output=True
    )
    if done.returncode:
        raise CertificateError(f"{READER} cannot read {path}")


def _reload() -> None:
    """Have nginx load the certificates. Whether it did is seen by what it serves."""
    print("nginx loads its certificates", flush=True)
    command = ["systemctl", "kill", "--kill-whom=main", "--signal=HUP", "nginx.service"]
    subprocess.run(command, check=False, capture_output=True, timeout=30)


def _is_served(settings: Settings, name: str) -> bool:
    """Wait until nginx serves the certificate that the link leads to."""
    link = settings.link(name)
    expected = Pair.parse((link / CERTIFICATE).read_text() + (link / KEY).read_text()).leaf
    deadline = time.monotonic() + LOAD_SECONDS
    while time.monotonic() < deadline:
        if _served(settings.https_port, name) == expected:
            return True
        time.sleep(0.2)
    return False


def _served(port: int, name: str) -> bytes | None:
    """The certificate that nginx serves for a name, in DER; None if it does not answer."""
    context = ssl.create_default_context()
    # The certificate is compared, not trusted.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 5) as plain,
            context.wrap_socket(plain, server_hostname=name.replace("*", "any")) as secure,
        ):
            return secure.getpeercert(binary_form=True)
    except OSError:
        return None


def _publish(link: Path) -> None:
    """From now on http leads to https."""
    new = link / f"{ISSUED}.new"
    if new.exists():
        new.replace(link / ISSUED)


def _point(link: Path, target: Path) -> None:
    """Let a link lead to another folder, at once."""
    new = link.with_name(f".{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target.relative_to(link.parent))
    new.replace(link)


def _clean(settings: Settings) -> None:
    """Remove the certificates that no name has any more, and the names that the site no longer has."""
    kept = {folder(name) for name in settings.names} | {STORE, PROBLEMS}
    for path in settings.served.iterdir():
        if path.name not in kept:
            path.unlink()
    used = {settings.link(name).resolve() for name in settings.names} | {
        (settings.served / STORE / "placeholder").resolve()
    }
    for path in (settings.served / STORE).iterdir():
        if path.resolve() not in used:
            shutil.rmtree(path)


def _self_sign(target: Path) -> None:
    """Create the certificate with which nginx starts. Nobody is to trust it."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o755)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    command += ["-days", "3650", "-subj", "/CN=no certificate yet", "-keyout", "/dev/stdout"]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    pair = Pair.parse(made)
    _write(target / CERTIFICATE, pair.chain, 0o644)
    _write(target / KEY, pair.key, 0o640, READER)


def _write(path: Path, text: str, mode: int, group: str | None = None) -> None:
    """Write a file that nobody else reads before it has its mode."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if group:
        shutil.chown(new, group=group)
    new.chmod(mode)
    new.replace(path)


if __name__ == "__main__":
    sys.exit(main())
