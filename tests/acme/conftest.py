"""A host's folders of certificates, and a certbot that does as it is told."""

import getpass
import grp
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from slipway.acme import install
from slipway.acme.certificate import Pair
from slipway.acme.settings import Settings

GOOD, OTHER = "www.example.com", "api.example.com"


@pytest.fixture(scope="session")
def make() -> Callable[..., str]:
    """Make a self-signed certificate with its key in one PEM text, key first."""

    def run(name: str, days: int = 90, age: int = 0) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
        begin = datetime.now(UTC).replace(microsecond=0) - timedelta(days=age)
        certificate = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = Encoding.PEM
        private = key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption())
        return (private + certificate.public_bytes(pem)).decode()

    return run


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two names, and folders of the user who runs the tests."""
    for folder in ("ready", "state", "private"):
        (tmp_path / "state" / folder).mkdir(parents=True)
    monkeypatch.setattr(install, "USER", getpass.getuser())
    monkeypatch.setattr(install, "READER", grp.getgrgid(os.getgid()).gr_name)
    monkeypatch.setattr(install, "PERSONS", tmp_path / "letsencrypt/live")
    monkeypatch.setattr(install, "LOAD_SECONDS", 0.3)
    monkeypatch.setattr(install, "_verify_readable", lambda path: None)
    return Settings((GOOD, OTHER), state=tmp_path / "state", served=tmp_path / "served")


class Nginx:
    """Serves what the links led to when it was told to reload."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.serves: dict[str, bytes] = {}
        self.reloads = 0
        self.refuses = False

    def reload(self) -> None:
        self.reloads += 1
        if self.refuses:
            return
        for name in self.settings.names:
            link = self.settings.link(name)
            self.serves[name] = Pair.parse(
                (link / install.CERTIFICATE).read_text() + (link / install.KEY).read_text()
            ).leaf


@pytest.fixture
def nginx(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Nginx:
    """nginx, with what provisioning prepared."""
    install.prepare(settings)
    fake = Nginx(settings)
    fake.reload()
    fake.reloads = 0
    monkeypatch.setattr(install, "_reload", fake.reload)
    monkeypatch.setattr(install, "_served", lambda port, name: fake.serves.get(name))
    return fake


@contextmanager
def presented(pem: str, folder: Path) -> Iterator[int]:
    """Serve a certificate to two connections, one after the other. Yields the port."""
    file = folder / "presented.pem"
    file.write_text(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                try:
                    context.wrap_socket(listener.accept()[0], server_side=True).close()
                except OSError:
                    continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)
