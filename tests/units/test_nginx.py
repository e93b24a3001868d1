"""Where the files of nginx are installed, and the sockets that it inherits."""

from pathlib import Path

import pytest

from slipway.units.nginx import KINDS, inherited, sockets, staged

NGINX = Path(__file__).resolve().parents[2] / "nginx"
FILES = {
    "nginx.conf": "main",
    "proxy.conf": "proxy",
    "errors/429.html": "busy",
    "servers/plain.conf": "plain",
    "servers/tls.conf": "tls",
    "servers/acme.conf": "acme",
    "site.d/own.conf": "own",
}


@pytest.mark.parametrize(("tls", "server"), [("none", "plain"), ("files", "tls"), ("acme", "acme")])
def test_each_file_has_its_place(tls: str, server: str) -> None:
    assert staged(FILES, {"values.conf": "values"}, tls=tls) == {
        "nginx.conf": "main",
        "slipway/proxy.conf": "proxy",
        "slipway/errors/429.html": "busy",
        "slipway/servers/plain.conf": "plain",
        "slipway/servers/tls.conf": "tls",
        "slipway/servers/acme.conf": "acme",
        "site.d/own.conf": "own",
        "slipway/generated/values.conf": "values",
        "slipway/server.conf": server,
    }


def test_a_kind_of_site_that_has_no_file_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"servers/tls\.conf"):
        staged({"nginx.conf": "main"}, {}, tls="files")


def test_the_repository_has_each_kind() -> None:
    assert {path.name for path in (NGINX / "servers").iterdir()} >= {f"{kind}.conf" for kind in KINDS.values()}


@pytest.mark.parametrize(
    ("ports", "ipv6", "expected", "handed"),
    [
        ([80], False, ["0.0.0.0:80"], "3;"),
        ([80, 443], True, ["0.0.0.0:80", "0.0.0.0:443", "[::]:80", "[::]:443"], "3;4;5;6;"),
    ],
)
def test_sockets_and_their_numbers(ports: list[int], ipv6: bool, expected: list[str], handed: str) -> None:
    assert sockets(ports, ipv6=ipv6) == expected
    assert inherited(len(expected)) == handed
