"""A host whose files are backed up, and another host with an S3 server that keeps the backups."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from slipway.backup import report
from slipway.controller.local.hosts import LocalHosts
from tests.machine import Machine
from tools.checkout import CHECKOUT, ROOT

GATEWAY = ROOT / ".cache/bin/versitygw"
BUCKET = "backups"
FILES = "/var/lib/app"
KEYS = {"AWS_ACCESS_KEY_ID": "shop", "AWS_SECRET_ACCESS_KEY": "tests-only"}
PASSWORD = "tests-only-" + 20 * "x"


class Store(Machine):
    """The host that keeps backups."""

    def serve(self, folder: Path) -> None:
        """Install the S3 server and start it, with TLS."""
        write_certificate(folder, self.address)
        self.copy(GATEWAY, "/usr/local/bin/versitygw")
        for name in ("s3.crt", "s3.key"):
            self.copy(folder / name, f"/etc/{name}")
        self.shell("mkdir -p /srv/s3")
        self.start()

    def start(self) -> None:
        """Start the S3 server."""
        words = (
            "/usr/local/bin/versitygw --port 0.0.0.0:9000 --cert /etc/s3.crt --key /etc/s3.key --quiet posix /srv/s3"
        )
        named = f"--setenv=ROOT_ACCESS_KEY_ID={KEYS['AWS_ACCESS_KEY_ID']} --setenv=ROOT_SECRET_ACCESS_KEY={KEYS['AWS_SECRET_ACCESS_KEY']}"
        self.shell(f"systemd-run --quiet --collect --unit=s3 {named} {words}")
        self.shell("until [ -n \"$(ss -Hltn 'sport = 9000')\" ]; do sleep 0.1; done")

    def kill(self) -> None:
        """Kill the S3 server."""
        self.shell("systemctl kill --signal=KILL s3; while systemctl is-active -q s3; do sleep 0.1; done")

    @property
    def s3(self) -> str:
        """The repository in its S3 server."""
        return f"s3:https://{self.address}:9000/{BUCKET}"


def write_certificate(folder: Path, address: str) -> None:
    """Write a certificate that is its own CA, and its key: s3.crt and s3.key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "s3")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "s3.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "s3.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


class BackedUp(Machine):
    """A host whose files are backed up: with what the role `backup` installs there, and without an app."""

    def install(self, store: Store, folder: Path) -> None:
        """Install restic, the program and its units, and create the repository."""
        self.shell(
            "apt-get update -q; DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends restic;"
            "useradd --system app; install -d /usr/local/lib/slipway /etc/slipway/backup /var/lib/slipway-backup;"
            "install -d -o app /var/lib/app"
        )
        keep = {"daily": 7, "weekly": 4, "monthly": 6}
        settings = {"repository": store.s3, "host": "s3/www1", "postgresql": False, "folders": [FILES], "keep": keep}
        for name, text in (
            ("settings.json", json.dumps(settings)),
            ("environment.json", json.dumps(KEYS)),
            ("password", PASSWORD),
        ):
            (folder / name).write_text(text)
            self.copy(folder / name, f"/etc/slipway/backup/{name}")
        self.copy(ROOT / "slipway", "/usr/local/lib/slipway/slipway")
        self.copy(ROOT / "slipway/bin/backup", "/usr/local/lib/slipway/backup")
        for unit in ("backup@.service", "restore-test.service"):
            self.copy(ROOT / "systemd" / unit, f"/etc/systemd/system/{unit}")
        self.trust(folder)
        self.shell("systemctl daemon-reload; /usr/local/lib/slipway/backup prepare")

    def trust(self, folder: Path) -> None:
        """Let the host trust the S3 server's CA."""
        self.copy(folder / "s3.crt", "/usr/local/share/ca-certificates/backup.crt")
        self.shell("update-ca-certificates")

    def found(self) -> dict[str, Any]:
        """What `slipway status` has of backups."""
        code = "import json; from slipway.backup import report; print(json.dumps(report.found()))"
        found: dict[str, Any] = json.loads(self.shell(f"cd /usr/local/lib/slipway; python3 -c '{code}'"))
        return found

    def backup(self) -> None:
        """Make a backup and restore it in a test; a failure is the test's."""
        self.shell("systemctl start backup@nightly; systemctl start restore-test")
        assert [each["state"] for each in self.found().values()] == ["ok", "ok"]

    def backup_fails(self) -> str:
        """Make a backup that must fail. Returns the cause in the status."""
        # By hand: of the nightly one restic tries for 15 minutes to reach its server.
        assert self.run("systemctl start backup@manual").returncode != 0
        found = self.found()
        assert found["backup"]["state"] == "failed"
        cause = str(found["backup"]["cause"])
        assert cause in report.words(found)[0], "people see it"
        return cause


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys, certificates and settings of the hosts."""
    return tmp_path_factory.mktemp("s3")


@pytest.fixture(scope="session")
def store(folder: Path) -> Iterator[Store]:
    """The host that keeps backups."""
    made = Store(LocalHosts(folder / "hosts", CHECKOUT), "s3-store")
    try:
        made.up("app")
        made.serve(folder)
        yield made
    finally:
        made.hosts.down(made.name)


@pytest.fixture(scope="session")
def host(store: Store, folder: Path) -> Iterator[BackedUp]:
    """A host whose files are backed up there."""
    made = BackedUp(store.hosts, "s3-www1")
    try:
        made.up("app")
        made.install(store, folder)
        made.shell(f"runuser -u app -- sh -c 'echo kept >{FILES}/first.txt'")
        yield made
    finally:
        made.hosts.down(made.name)
