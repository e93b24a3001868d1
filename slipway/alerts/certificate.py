"""The end of a certificate that nobody renews here (nginx_tls: files), as nginx presents it to clients."""

import socket
import ssl
from datetime import UTC, datetime

from slipway.alerts.alert import Alert

LEFT_SECONDS = 14 * 86400
TIMEOUT_SECONDS = 10


def expiring(port: int, name: str, now: float) -> Alert | None:
    """Say when the certificate ends, if that is soon or was. None: it lasts, or nginx does not answer.

    Args:
        port: of nginx on the loopback.
        name: one of the site's.
        now: epoch seconds.
    """
    try:
        begins, ends = validity(port, name)
    except ssl.SSLCertVerificationError as error:
        return _alert(name, "is not valid", error.verify_message)
    except OSError:
        return None  # that the site does not work is told by another alert
    if not is_near(begins, ends, now):
        return None
    return _alert(name, "expires soon", f"it is valid until {datetime.fromtimestamp(ends, UTC).isoformat()}")


def is_near(begins: float, ends: float, now: float) -> bool:
    """Whether a certificate ends so soon that somebody must do something, or has ended. All in epoch seconds."""
    return ends - now <= min(LEFT_SECONDS, (ends - begins) / 3)


def validity(port: int, name: str) -> tuple[float, float]:
    """Return when the certificate that nginx presents begins and ends (epoch seconds).

    Raises:
        ssl.SSLCertVerificationError: it has expired, or is not valid yet.
        OSError: nginx does not answer.
    """
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    leaf = _present(unchecked, port, name)[0]
    # Python tells the dates of a certificate only if it trusts it.
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trusting.load_verify_locations(cadata=leaf)
    dates = _present(trusting, port, name)[1]
    return ssl.cert_time_to_seconds(str(dates["notBefore"])), ssl.cert_time_to_seconds(str(dates["notAfter"]))


def _present(context: ssl.SSLContext, port: int, name: str) -> tuple[bytes, dict[str, object]]:
    with (
        socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=name) as wrapped,
    ):
        return wrapped.getpeercert(binary_form=True) or b"", dict(wrapped.getpeercert() or {})


def _alert(name: str, what: str, detail: str) -> Alert:
    advice = "put a new one at nginx_tls_certificate and nginx_tls_key, then systemctl reload nginx"
    return Alert(f"certificate:{name}", f"the certificate of {name} {what}", detail, advice)
