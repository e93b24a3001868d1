"""https by one variable, its certificate's renewal, and http again."""

import json
import ssl
from typing import Any

import pytest
from deploys import Deploy
from site_answers import by_http, by_https

from tools.checkout import APP_IMAGES

SCHEME = "https"
MAKE = (
    "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout /root/new.key -out /root/new.pem"
    " 2>/dev/null && install -d /etc/nginx/tls && install -m 0644 /root/new.pem /etc/nginx/tls/certificate.pem"
    " && install -m 0640 -g www-data /root/new.key /etc/nginx/tls/key.pem"
)

SIGN = """
set -e
cd /root
openssl req -x509 -newkey rsa:2048 -noenc -days 80 -subj /CN=ca -addext basicConstraints=critical,CA:TRUE \\
    -keyout ca.key -out ca.pem 2>/dev/null
openssl req -newkey rsa:2048 -noenc -subj /CN=localhost -keyout new.key -out new.csr 2>/dev/null
echo subjectAltName=DNS:localhost >new.ext
openssl x509 -req -in new.csr -CA ca.pem -CAkey ca.key -days 80 -extfile new.ext -out new.pem 2>/dev/null
install -m 0644 new.pem /etc/nginx/tls/certificate.pem
install -m 0640 -g www-data new.key /etc/nginx/tls/key.pem
systemctl reload nginx
"""


def ports(host: Any) -> set[str]:
    """The ports of nginx.socket and those that are open on the host: the same ones."""
    listening = host.check_output("ss --no-header --listening --tcp --numeric").splitlines()
    open_ports = {line.split()[3].rpartition(":")[2] for line in listening} - {"22"}
    held = host.check_output("systemctl show --property=Listen --value nginx.socket").splitlines()
    assert {line.split()[0].rpartition(":")[2] for line in held} == open_ports
    return open_ports


def test_it_is_turned_on(host: Any, provision: Any, addresses: dict[str, str]) -> None:
    host.check_output(MAKE)
    done = provision(nginx_tls="files")
    assert done.returncode == 0, done.stdout
    assert ports(host) == {"80", "443"}
    # Before, in verify/acme, the certificates were the CA's.
    assert host.run("systemctl is-active nginx-acme.timer").stdout.strip() == "inactive"
    assert not host.file("/etc/slipway/acme.json").exists
    assert by_http(addresses, "localhost") == (308, "https://localhost/version?a=b")
    secure = by_https(addresses, "localhost")
    assert (secure.status, secure.hsts) == (200, "max-age=31536000")
    with pytest.raises(ssl.SSLError):
        by_https(addresses, "other.example")


def test_a_deploy_probes_by_https(host: Any, load: Any, addresses: dict[str, str]) -> None:
    assert host.check_output("grep -c https://127.0.0.1:443 /etc/slipway/config.json") == "1"
    deploy = Deploy(image=f"{APP_IMAGES}:molecule-attacker")
    assert deploy.wait() == 0, deploy.output
    assert by_https(addresses, "localhost").status == 200
    load.check()


def test_a_certificate_is_renewed(load: Any, host: Any, addresses: dict[str, str]) -> None:
    before = by_https(addresses, "localhost").fingerprint
    moment = host.check_output(MAKE + " && date +%s.%N && systemctl reload nginx && sleep 1")
    load.closings.append(float(moment))
    after = by_https(addresses, "localhost").fingerprint
    assert after != before
    assert after == host.check_output("openssl x509 -in /root/new.pem -outform DER | sha256sum").split()[0]
    load.check()


@pytest.mark.catalogue  # minutes of handshakes
def test_testssl_gives_the_best_grade(host: Any) -> None:
    """With an RSA certificate of a trusted CA that has no list of revoked ones, by an OpenSSL that lacks GOST."""
    host.check_output(SIGN)
    host.check_output("apt-get install --yes --quiet --no-install-recommends testssl.sh bsdextrautils bind9-dnsutils")
    scan = host.run(
        "cd /root; rm -f found.json; testssl --quiet --color 0 --warnings batch --add-ca ca.pem --ip 127.0.0.1"
        " --jsonfile found.json localhost:443"
    )
    found = {each["id"]: each for each in json.loads(host.file("/root/found.json").content_string)}
    assert found["overall_grade"]["finding"] == "A+", scan.stdout
    bad = {name for name, each in found.items() if each["severity"] in {"LOW", "MEDIUM", "HIGH", "CRITICAL", "WARN"}}
    assert bad <= {"cert_revocation", "DNS_CAArecord", "engine_problem"}, scan.stdout


def test_a_key_that_a_renewal_left_to_root_is_read(load: Any, host: Any, addresses: dict[str, str]) -> None:
    before = by_https(addresses, "localhost").fingerprint
    moment = host.check_output(
        MAKE + " && chmod 0600 /etc/nginx/tls/*.pem && chgrp root /etc/nginx/tls/*.pem"
        " && date +%s.%N && systemctl reload nginx && sleep 1"
    )
    load.closings.append(float(moment))
    assert by_https(addresses, "localhost").fingerprint != before
    load.check()
    load.stop()


def test_an_unreadable_certificate_fails_the_reload_and_the_status_says_why(
    host: Any, addresses: dict[str, str]
) -> None:
    """Behind a folder that only root may enter, where no mode of the file helps. Without load: nginx is restarted."""
    before = by_https(addresses, "localhost").fingerprint
    host.check_output("chmod 0700 /etc/nginx/tls")
    try:
        assert host.run("systemctl reload nginx").rc != 0
        assert by_https(addresses, "localhost").fingerprint == before, "nginx goes on with the certificate that it has"
        host.run("systemctl restart --no-block nginx; sleep 2")
        told = host.check_output("slipway status")
        assert "unhealthy" in told
        assert "the certificate cannot be read by www-data: cannot load certificate" in told
    finally:
        host.check_output("chmod 0755 /etc/nginx/tls && sleep 2")
    assert by_https(addresses, "localhost").fingerprint == before


def test_it_is_turned_off(host: Any, provision_nginx: Any, addresses: dict[str, str]) -> None:
    """Without load: nginx.socket restarts."""
    done = provision_nginx(nginx_tls="none")
    assert done.returncode == 0, done.stdout
    assert ports(host) == {"80"}
    assert by_http(addresses, "localhost") == (200, None)
