"""A CA on the host: pebble, which Let's Encrypt tests its clients with, and the DNS that it asks."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

CONFIGURATION = {
    "pebble": {
        "listenAddress": "127.0.0.1:14000",
        "managementListenAddress": "127.0.0.1:15000",
        "certificate": "/opt/pebble/server.pem",
        "privateKey": "/opt/pebble/server.key",
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
        "certificateValidityPeriod": 7776000,
    }
}
KEYS = {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}
"""Pebble's own example, by kid."""
AUTHORITY = "/usr/local/share/ca-certificates/pebble.crt"
INSTALL = f"""
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get install --yes --no-install-recommends pebble >/dev/null
install -d /opt/pebble
cd /opt/pebble
openssl req -x509 -newkey rsa:2048 -noenc -days 2 -subj /CN=test -addext basicConstraints=critical,CA:TRUE \
    -keyout ca.key -out {AUTHORITY} 2>/dev/null
openssl req -newkey rsa:2048 -noenc -subj /CN=localhost -keyout server.key -out server.csr 2>/dev/null
echo subjectAltName=DNS:localhost >extensions
openssl x509 -req -in server.csr -CA {AUTHORITY} -CAkey ca.key -days 2 -extfile extensions -out server.pem 2>/dev/null
update-ca-certificates >/dev/null 2>&1
"""
# Debian 12's has no DNS over HTTPS to switch off.
DNS = (
    "/usr/bin/pebble-challtestsrv -defaultIPv6= -http01= -https01= -tlsalpn01= -dns01=127.0.0.1:8053"
    " -management=127.0.0.1:8055 $(pebble-challtestsrv -h 2>&1 | grep -q -e -doh && echo -doh=)"
)


@dataclass
class Pebble:
    """The CA. It forgets everything when it stops, accounts included."""

    host: Any

    def start(self) -> None:
        self.host.check_output(
            "systemctl is-active pebble || systemd-run --quiet --collect --unit=pebble --setenv=PEBBLE_VA_NOSLEEP=1"
            # It refuses one nonce of twenty by default, and certbot gives up after two of them.
            " --setenv=PEBBLE_WFE_NONCEREJECT=0 --setenv=PEBBLE_AUTHZREUSE=0"
            " /usr/bin/pebble -config /opt/pebble/pebble.json -dnsserver 127.0.0.1:8053"
        )
        self.host.check_output("for i in $(seq 100); do ss -Hltn | grep -q :14000 && exit; sleep 0.1; done; exit 1")

    def stop(self) -> None:
        self.host.run("systemctl stop pebble")

    def require_binding(self) -> dict[str, str]:
        """Register accounts with an external account binding only, from the next start on. Returns a customer's."""
        values = CONFIGURATION["pebble"] | {"externalAccountBindingRequired": True, "externalAccountMACKeys": KEYS}
        self.host.check_output(f"cat >/opt/pebble/pebble.json <<'END'\n{json.dumps({'pebble': values})}\nEND")
        return {"kid": "kid-1", "hmac_key": KEYS["kid-1"]}

    def dns(self, call: str, **values: Any) -> None:
        """Change the DNS (`set-servfail`, `clear-servfail`, `add-a`, ...)."""
        ask = f"import urllib.request as r; r.urlopen('http://127.0.0.1:8055/{call}', data={json.dumps(values)!r}.encode())"
        self.host.check_output(f"python3 -c {shlex.quote(ask)}")


@pytest.fixture(scope="module")
def pebble(host: Any) -> Iterator[Pebble]:
    """Install the CA and its DNS; the CA does not run yet."""
    host.check_output(INSTALL)
    host.check_output(f"cat >/opt/pebble/pebble.json <<'END'\n{json.dumps(CONFIGURATION)}\nEND")
    host.check_output(f"systemd-run --quiet --collect --unit=pebble-dns {DNS}")
    ca = Pebble(host)
    yield ca
    ca.stop()
    host.run(f"systemctl stop pebble-dns; rm -rf /opt/pebble {AUTHORITY}; update-ca-certificates --fresh")
