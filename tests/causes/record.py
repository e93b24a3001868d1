"""Record what programs say when the sandbox refuses them: `python -m tests.causes.record [NAME...]`.

A systemd container gets the units of Slipway and an image of small programs. Each runs as a release does, and what its
unit wrote into the journal goes to messages/NAME.txt.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway import units
from slipway.contract.site import Site
from slipway.engine.start_scripts import start_scripts
from slipway.engine.tree import MOUNT_POINTS
from slipway.model.image import Image
from slipway.model.manifest import Manifest
from slipway.units import drop_ins
from tests.causes.cases import CASES, Case
from tools.checkout import container

ROOT = Path(__file__).resolve().parents[2]
DOCKER = "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else "docker"
NAME = "causes"
IMAGE = Path(__file__).with_name("image")
RELEASE = "20260101T000000-c0ffee0"
TREE = f"/srv/app/sealed/{RELEASE}"
UNIT = f"app@{RELEASE}.service"
QUIET = 0.4
"""Seconds for the journal to be written in after a unit has ended."""
SET_UP = f"""
set -e
useradd --system app && useradd --system app_migrate && groupadd deploy
mkdir -p /run/name-resolution /run/app {" ".join(f"{TREE}/{each}" for each in MOUNT_POINTS)}
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends nftables postgresql >/dev/null
pg_ctlcluster 17 main restart || pg_ctlcluster 17 main start
su postgres -c psql <<'SQL'
create role app login connection limit 3 password 'secret';
create role app_migrate login;
create database app owner app_migrate;
\\c app
create table theirs (id int);
grant all on theirs to app_migrate;
SQL
"""
VERSIONS = (
    "dpkg-query --showformat '${Package} ${Version}, ' --show alembic gunicorn python3 python3-asyncpg python3-psycopg \
python3-pydantic python3-sqlalchemy uvicorn"
)


def docker(*arguments: str) -> str:
    """Run docker; what it printed."""
    environment = os.environ | {"DOCKER_BUILDKIT": "1"}
    done = subprocess.run([DOCKER, *arguments], stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return done.stdout.strip()


class Host:
    """A container in which systemd runs one release."""

    def __init__(self, docker: str, name: str) -> None:
        self._docker, self._name = docker, name

    def run(self, script: str, given: bytes | None = None) -> str:
        """Run a script as root.

        Raises:
            RuntimeError: it failed.
        """
        command = [self._docker, "exec", "--interactive", self._name, "/bin/sh", "-c", script]
        done = subprocess.run(command, input=given, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{script}: {done.stdout.decode()}{done.stderr.decode()}")
        return done.stdout.decode(errors="replace")

    def write(self, path: str, text: str, mode: str = "644") -> None:
        """Write a file, and the folder that it is in."""
        self.run(f"mkdir -p $(dirname {path}) && cat > {path} && chmod {mode} {path}", text.encode())

    def receive(self, image: str) -> None:
        """Unpack an image as the release; what it may not write it does not own."""
        made = subprocess.run([self._docker, "create", image], capture_output=True, text=True, check=True)
        container = made.stdout.strip()
        try:
            with subprocess.Popen([self._docker, "export", container], stdout=subprocess.PIPE) as export:
                unpack = f"mkdir -p {TREE} && tar --extract --no-same-owner --exclude 'dev/*' --directory {TREE}"
                command = [self._docker, "exec", "--interactive", self._name, "/bin/sh", "-c", unpack]
                subprocess.run(command, stdin=export.stdout, check=True)
        finally:
            subprocess.run([self._docker, "rm", container], capture_output=True, check=True)
        self.run(f"chmod -R u+rwX,a+rX,go-w,a-s {TREE} && chmod 755 /srv/app /srv/app/sealed {TREE}")

    def said_by(self, case: Case) -> list[str]:
        """Run a case; the lines of its unit, and systemd's about it."""
        site = Site.read([f"{name}={value}" for name, value in case.variables.items()])
        folder = "/etc/systemd/system/app@.service.d"
        self.write(f"{folder}/20-egress.conf", (ROOT / f"systemd/egress/{case.egress}.conf").read_text())
        self.write(f"{folder}/30-settings.conf", site.settings_dropin())
        network = drop_ins.network(units.Site.parse({"egress": case.egress}))
        self.write("/etc/systemd/system/network@.service.d/20-egress.conf", network)
        self.write(f"{folder}/90-case.conf", "\n".join(["[Service]", "Restart=no", *case.unit]) + "\n")
        image = Image(name="causes", id="sha256:0", architecture="amd64", cmd=case.cmd, workdir="/app")
        manifest = Manifest(image=image, settings=case.environment)
        for name, text in start_scripts(RELEASE, manifest).items():
            self.write(f"{TREE}/.slipway/{name}", text, "755")
        since = time.time()
        state = "systemctl show --property=ActiveState --value"
        self.run(f"systemctl daemon-reload; systemctl start app@{RELEASE}.socket {UNIT} || true")
        while time.time() < since + case.seconds and self.run(f"{state} {UNIT}").strip() in ("active", "activating"):
            time.sleep(0.1)
        time.sleep(QUIET)
        said = self.run(
            f"journalctl --namespace=app --sync; journalctl --namespace=+app --quiet --no-pager --output=cat --unit={UNIT} --since=@{since:.3f}"
        )
        self.run(f"systemctl stop app@{RELEASE}.socket {UNIT}; systemctl reset-failed; rm -rf /var/lib/app/*")
        return said.splitlines()

    def versions(self) -> str:
        """The versions of what runs."""
        return self.run(f"chroot {TREE} {VERSIONS}").strip(", \n")


@contextmanager
def recording() -> Iterator[Host]:
    """A test host of its own, removed at the end."""
    tool = str(ROOT / "tools/host")
    subprocess.run([ROOT / "tools/base-image"], check=True, stdin=subprocess.DEVNULL)
    secret = ROOT / ".cache/extra-ca.pem"
    image = docker("build", "--quiet", *([f"--secret=id=ca,src={secret}"] if secret.exists() else []), str(IMAGE))
    subprocess.run([tool, "up", NAME], check=True)
    try:
        host = Host(DOCKER, container(NAME))
        host.receive(image)
        host.run(SET_UP)
        for unit in ("app@.socket", "app@.service", "network@.service"):
            host.write(f"/etc/systemd/system/{unit}", (ROOT / "systemd" / unit).read_text())
        for name, source in {"10-sandbox": "sandbox", "15-network": "network"}.items():
            text = (ROOT / f"systemd/{source}.conf").read_text()
            host.write(f"/etc/systemd/system/app@.service.d/{name}.conf", text)
        host.write("/usr/local/lib/slipway/network", (ROOT / "slipway/bin/network").read_text(), "755")
        yield host
    finally:
        subprocess.run([tool, "down", NAME], check=True)


def main() -> None:
    """Record the named cases, or all."""
    wanted = [case for case in CASES if case.name in sys.argv[1:] or not sys.argv[1:]]
    with recording() as host:
        versions = host.versions()
        for case in wanted:
            write(case, host.said_by(case), versions)


def write(case: Case, said: list[str], versions: str) -> None:
    """Write the lines under the command and versions that they are of."""
    header = [f"# {' '.join(case.cmd)}", f"# app_egress {case.egress}, {case.variables or ''}", f"# {versions}"]
    case.file.write_text("\n".join([*(line.rstrip(", ") for line in header), "", *said]) + "\n")
    print(f"{case.name}: {said[-1] if said else 'nothing'}", flush=True)


if __name__ == "__main__":
    main()
