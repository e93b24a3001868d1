"""One look, as metrics.service takes it: the file that node_exporter reads."""

import os
import ssl
import sys
from pathlib import Path

from slipway.alerts.certificate import validity
from slipway.engine import audit
from slipway.engine.durable import write_atomically
from slipway.engine.host import Host
from slipway.engine.status import status
from slipway.metrics.exposition import text
from slipway.metrics.gauges import gauges
from slipway.model.errors import SlipwayError
from slipway.model.site import Site

FILE = "slipway.prom"


def main() -> int:
    """Write the file. Returns 1 and leaves the old one if that fails: its age is a metric of node_exporter's."""
    try:
        host = Host(Site.load())
        port = int(os.environ.get("HTTPS_PORT", "0"))
        write(host, Path(os.environ["STATE_DIRECTORY"], FILE), port)
    except (SlipwayError, OSError) as error:
        print(f"metrics: {error}", file=sys.stderr)
        return 1
    return 0


def write(host: Host, file: Path, https_port: int) -> None:
    """Write what is known of a host.

    Args:
        host: the host.
        file: replaced atomically.
        https_port: where nginx serves a certificate that nobody renews here (nginx_tls: files); 0: nowhere.

    Raises:
        SlipwayError: the host's state cannot be read.
        OSError: the file cannot be written.
    """
    validities = _validities(https_port, host.site.probe_host) if https_port else {}
    write_atomically(file, text(gauges(status(host), audit.last(host, 200), validities)), 0o644)


def _validities(port: int, name: str) -> dict[str, tuple[float, float]]:
    """When the certificate begins and ends. Empty: nginx does not answer, which `slipway_site_up` says."""
    try:
        return {name: validity(port, name)}
    except ssl.SSLCertVerificationError:
        return {name: (0, 0)}
    except OSError:
        return {}


if __name__ == "__main__":
    sys.exit(main())
