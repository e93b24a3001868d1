"""Cleaning the host after a deploy key was stolen: what the user `deploy` could have left is removed.

For root. Provisioning takes the key itself out of host_deploy_keys first. The live release serves meanwhile, since
only the next deploy knows what is right; until then nothing here trusts it.
"""

import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

from slipway.engine import audit
from slipway.engine.host import Host
from slipway.engine.releases import Releases, remove_tree
from slipway.model.errors import SlipwayError
from slipway.model.names import RELEASE

KEPT = (audit.FILE, ".lock", "current", "releases")
"""Of what `deploy` has in /srv/app."""
DIES_SECONDS = 30
"""Within which no process of `deploy` is left."""
MENDS_SECONDS = 960
"""What the recovery of an engine that was killed may take (deploy@.service)."""
SKELETON = Path("/etc/skel")


def clean(host: Host) -> list[str]:
    """Remove what `deploy` could have left. Returns what was removed, in words.

    Raises:
        SlipwayError: its processes do not die, or the live release is not brought back.
    """
    user = pwd.getpwnam("deploy")
    done = []
    # First what would start something again.
    _run("loginctl", "disable-linger", user.pw_name)
    Path("/var/lib/systemd/linger", user.pw_name).unlink(missing_ok=True)
    done += [f"removed {path}" for path in _remove_owned(user, ["/var/spool"])]
    done += _cancel_jobs()
    _run("loginctl", "terminate-user", user.pw_name)
    done += _kill_all(user)
    _wait_for_engines()
    done += [f"removed {path}" for path in _remove_owned(user, ["/"])]
    shutil.copytree(SKELETON, user.pw_dir, dirs_exist_ok=True, symlinks=True)
    for path in (Path(user.pw_dir), *Path(user.pw_dir).rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    done += _remove_ipc(user)
    done += _distrust(host.releases, user)
    recovered = _run("runuser", "-u", user.pw_name, "--", "/usr/local/bin/slipway", "recover")
    if recovered.returncode:
        raise SlipwayError(f"the live release is not brought back: {recovered.stderr.strip()}")
    done += recovered.stdout.splitlines()
    done += _remove_releases(host.releases)
    return done


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


def _cancel_jobs() -> list[str]:
    """Cancel what is queued for units of releases: a job that cannot be replaced would refuse a stop or a reboot."""
    listed = _run("systemctl", "list-jobs", "--plain", "--no-legend").stdout.splitlines()
    rows = [line.split() for line in listed]
    jobs = [(row[0], row[1]) for row in rows if len(row) > 1 and re.search(rf"@({RELEASE.pattern}|none)\.", row[1])]
    for number, _unit in jobs:
        _run("systemctl", "cancel", number)
    return [f"cancelled the job of {unit}" for _number, unit in jobs]


def _kill_all(user: pwd.struct_passwd) -> list[str]:
    """Kill all processes of the user, until none is left: all at once, so that none starts another one."""
    killed: set[str] = set()
    deadline = time.monotonic() + DIES_SECONDS
    while found := _processes(user.pw_uid):
        killed |= set(found)
        if time.monotonic() > deadline:
            raise SlipwayError(f"processes of {user.pw_name} do not end: {', '.join(sorted(killed))}")
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
                os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
                os.kill(-1, signal.SIGKILL)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        time.sleep(0.05)
    return [f"killed {each}" for each in sorted(killed)]


def _processes(user: int) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # A process may call itself anything.
            status = (process / "status").read_text(errors="replace")
            numbers = re.search(r"^Uid:\s*(.*)$", status, re.M)
            name = re.search(r"^Name:\s*(.*)$", status, re.M)
        except OSError:
            continue
        dead = re.search(r"^State:\s*[ZX]", status, re.M)
        if numbers and name and not dead and str(user) in numbers[1].split():
            found.append(f"{name[1]} ({process.name})")
    return found


def _wait_for_engines() -> None:
    """Wait for the recovery of those that were killed, which runs as `deploy` as well."""
    deadline = time.monotonic() + MENDS_SECONDS
    while time.monotonic() < deadline:
        listed = _run("systemctl", "list-units", "--plain", "--no-legend", "--state=deactivating", "deploy@*").stdout
        if not listed.strip():
            return
        time.sleep(0.2)


def _remove_owned(user: pwd.struct_passwd, roots: list[str]) -> list[str]:
    """Remove all files of the user but those of Slipway; no process of the user is there to exchange any."""
    skipped = [part for path in ("/proc/*", "/sys/*", "/srv/app/*", user.pw_dir) for part in ("!", "-path", path)]
    command = ["find", *roots, "-depth", *skipped, "-user", user.pw_name, "-print0"]
    found = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.split(b"\0")
    removed = []
    for path in (Path(os.fsdecode(name)) for name in found if name):
        try:
            path.rmdir() if stat.S_ISDIR(path.lstat().st_mode) else path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            removed.append(f"nothing at {path}: {error.strerror}")
        else:
            removed.append(str(path))
    return removed


def _remove_ipc(user: pwd.struct_passwd) -> list[str]:
    """Remove System V shared memory, semaphores and queues, which outlive their processes."""
    removed = []
    for kind, option in (("shm", "-m"), ("sem", "-s"), ("msg", "-q")):
        lines = Path("/proc/sysvipc", kind).read_text().splitlines()
        names = lines[0].split()
        for line in lines[1:]:
            values = dict(zip(names, line.split(), strict=False))
            if str(user.pw_uid) in {values["uid"], values["cuid"]}:
                _run("ipcrm", option, values[names[1]])
                removed.append(f"removed {kind} {values[names[1]]}")
    return removed


def _distrust(releases: Releases, user: pwd.struct_passwd) -> list[str]:
    """Remove what is in /srv/app but the live release's record, of which only what serves is kept.

    The next deploy sends all files that differ, whatever the record claims, and no rollback goes to it.
    """
    done = []
    live = releases.current()
    for path in releases.root.iterdir():
        if path.lstat().st_uid == user.pw_uid and not _is_kept(path):
            _remove(path)
            done.append(f"removed {path}")
    if not releases.folder.is_dir():
        releases.folder.mkdir(mode=0o755)
    record = releases.known(live) if live else None
    for path in releases.folder.iterdir():
        if live and path.name in {live, f"{live}.port"} and not path.is_symlink():
            continue  # the tree of a release before sealing, which may still run from it
        _remove(path)
        if path.suffix != ".json":
            done.append(f"removed {path}")
    if record:
        record.identity, record.healthy, record.previous, record.request = {}, False, None, None
        releases.save(record)
        os.chown(releases.folder / f"{record.release}.json", user.pw_uid, user.pw_gid)
    os.chown(releases.folder, user.pw_uid, user.pw_gid)
    return done


def _is_kept(path: Path) -> bool:
    mode = path.lstat().st_mode
    right = {"current": stat.S_ISLNK, "releases": stat.S_ISDIR}.get(path.name, stat.S_ISREG)
    return path.name in KEPT and right(mode)


def _remove(path: Path) -> None:
    remove_tree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _remove_releases(releases: Releases) -> list[str]:
    """Remove all releases but the live one, by the unit of their owner."""
    removed = []
    for path in sorted(releases.sealed.iterdir()):
        if RELEASE.fullmatch(path.name) and path.name != releases.current():
            _run("systemctl", "start", f"remove@{path.name}.service")
            removed.append(f"removed the release {path.name}")
    return removed
