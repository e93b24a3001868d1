"""Checks of a certificate before nginx gets it."""

import hashlib
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slipway.model.errors import SlipwayError

_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----\n.+?-----END \1-----\n?", re.DOTALL)


class CertificateError(SlipwayError):
    """A certificate does not fit its key or its name, or is not valid now."""

    def __init__(self, message: str, *, damaged: bool = True) -> None:
        super().__init__(message)
        self.damaged = damaged
        """Another certificate would be better, whatever the time is."""


@dataclass(frozen=True)
class Pair:
    """A certificate with its chain, and its key: each PEM."""

    chain: str
    key: str

    @classmethod
    def parse(cls, text: str) -> "Pair":
        """Split a file that has both.

        Raises:
            CertificateError: it lacks one of them.
        """
        blocks = [(match[1], match[0].rstrip("\n") + "\n") for match in _BLOCK.finditer(text)]
        chain = "".join(block for kind, block in blocks if kind == "CERTIFICATE")
        keys = [block for kind, block in blocks if kind.endswith("PRIVATE KEY")]
        if not chain or len(keys) != 1:
            raise CertificateError(f"the file has {len(keys)} keys, and {'a' if chain else 'no'} certificate")
        return cls(chain, keys[0])

    @property
    def leaf(self) -> bytes:
        """The certificate itself, without the chain, in DER."""
        first = self.chain[: self.chain.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"
        return ssl.PEM_cert_to_DER_cert(first)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate."""
        return hashlib.sha256(self.leaf).hexdigest()


@dataclass(frozen=True)
class Validity:
    """Between which moments a certificate is valid, in epoch seconds."""

    not_before: float
    not_after: float


def check(chain: Path, key: Path, name: str) -> Validity:
    """Have a server and a client shake hands in memory: the certificate fits its key and the name, and is valid now.

    The client trusts this very certificate, so any CA is as good as another.

    Raises:
        CertificateError: it does not, and why.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        server.load_cert_chain(chain, key)
        client.load_verify_locations(cadata=Pair.parse(chain.read_text() + key.read_text()).leaf)
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        outer = client.wrap_bio(to_client, to_server, server_hostname=name.replace("*", "any"))
        inner = server.wrap_bio(to_server, to_client, server_side=True)
        _shake_hands(outer.do_handshake, inner.do_handshake)
        values = outer.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        raise CertificateError(f"it does not hold for {name}: {error.verify_message}", damaged=False) from None
    except (ssl.SSLError, ValueError) as error:
        raise CertificateError(f"it does not fit its key, or is damaged: {error}") from None
    return Validity(*(ssl.cert_time_to_seconds(str(values[date])) for date in ("notBefore", "notAfter")))


def _shake_hands(*sides: Callable[[], None]) -> None:
    """Let each side go on with what the other one sent, until both are through."""
    for _ in range(10):
        waits = 0
        for side in sides:
            try:
                side()
            except ssl.SSLWantReadError:
                waits += 1
        if not waits:
            return
    raise ValueError("the handshake does not end")
