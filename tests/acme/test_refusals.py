"""What an inventory may not say of certificates by ACME."""

from typing import Any

import pytest

from slipway.acme.settings import LETS_ENCRYPT
from slipway.controller.acme import STAGING, binding_file, credentials_file, refusals

GOOD: dict[str, Any] = {"directory": LETS_ENCRYPT, "email": "", "profile": "", "dns": "", "credentials": {}}
DNS: dict[str, Any] = {"dns": "cloudflare", "credentials": {"dns_cloudflare_api_token": "x"}}


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (["www.example.com", "example.com", "a-b.c1.example.museum"], {}),
        (["xn--mnchen-3ya.example"], {"email": "ops@example.com", "profile": "tlsserver"}),
        (["*.example.com", "example.com"], DNS),
        (["example.com"], DNS | {"elsewhere": ["example.com"]}),
        (["example.com"], {"eab": {"kid": "k-1_2", "hmac_key": "zWND_-9="}}),
        (["app", "app.internal"], {"directory": "https://ca.internal:9000/acme/acme/directory"}),
    ],
)
def test_what_is_good(names: list[str], values: dict[str, Any]) -> None:
    assert refusals(names, **GOOD | values) == []


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("_", {}, "nginx_server_names has `_`, which is a pattern"),
        ("_", {"directory": "https://ca.internal/dir"}, "is a pattern"),
        ("203.0.113.7", {}, "`203.0.113.7`, which is an address"),
        ("2001:db8::1", {}, "is an address"),
        ("[2001:db8::1]", {}, "is an address"),
        ("*.example.com", {}, "certifies a wildcard by DNS only. Set nginx_acme_dns"),
        (".example.com", DNS, "is a pattern"),
        ("www.example.*", DNS, "is a pattern"),
        ("~^www\\d+\\.example\\.com$", DNS, "is a pattern"),
        ("*.*.example.com", DNS, "is a pattern"),
        ("https://example.com", {}, "is a pattern"),
        ("example.com/", {}, "is a pattern"),
        ("www.example.com.", {}, "is a pattern"),
        ("", {}, "is a pattern"),
        ("a" * 64 + ".example.com", {}, "is a pattern"),
        ("-a.example.com", {}, "is a pattern"),
        ("localhost", {}, "is no name in the public DNS"),
        ("localhost", {"directory": STAGING}, "is no name in the public DNS"),
        ("münchen.example", {}, "Write it as DNS has it: xn--mnchen-3ya.example"),
        ("WWW.example.com", {}, "Write it in lower case: www.example.com"),
    ],
)
def test_a_name_that_no_ca_certifies(name: str, values: dict[str, Any], expected: str) -> None:
    (found,) = refusals(["www.example.com", name], **GOOD | values)
    assert f"`{name}`" in found
    assert expected in found


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"elsewhere": ["a.example.com", "www.example.com"]},
            "nginx_server_names has www.example.com on several hosts",
        ),
        ({"directory": "http://ca.internal/dir"}, "nginx_acme_directory is `http://ca.internal/dir`"),
        ({"directory": "letsencrypt"}, "nginx_acme_directory is `letsencrypt`"),
        ({"email": "ops"}, "nginx_acme_email is `ops`"),
        ({"email": "a@b.example,c@d.example"}, "nginx_acme_email"),
        ({"profile": "tls server"}, "nginx_acme_profile is `tls server`"),
        ({"dns": "cloudflare"}, "nginx_acme_dns_credentials is empty"),
        *(
            ({"eab": wrong}, "and must have kid and hmac_key")
            for wrong in (
                {"kid": "a"},
                {"kid": "a", "hmac_key": ""},
                {"kid": "a", "hmac": "b"},
                {"kid": "a\nb", "hmac_key": "c"},
            )
        ),
        ({"dns": "rfc2136", "credentials": {"a": "b\nc"}}, "nginx_acme_dns_credentials has a line break in a"),
    ],
)
def test_another_value(values: dict[str, Any], expected: str) -> None:
    (found,) = refusals(["www.example.com"], **GOOD | values)
    assert expected in found


@pytest.mark.parametrize(
    ("dns", "text"), [("cloudflare", "a = b\n"), ("route53", "[default]\na = b\n"), ("google", '{"a": "b"}')]
)
def test_the_plugins_credentials(dns: str, text: str) -> None:
    assert credentials_file(dns, {"a": "b"}) == text


def test_the_binding_of_an_account() -> None:
    assert binding_file({"kid": "k", "hmac_key": "h"}) == "eab-kid = k\neab-hmac-key = h\n"
