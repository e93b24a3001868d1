"""What an inventory may not say of certificates by ACME, and the files that follow from it."""

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from slipway.acme.settings import LETS_ENCRYPT

STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


def refusals(
    names: Iterable[Any],
    *,
    directory: str = LETS_ENCRYPT,
    email: str = "",
    profile: str = "",
    dns: str = "",
    credentials: Mapping[str, Any] | None = None,
    eab: Mapping[str, Any] | None = None,
    elsewhere: Iterable[Any] = (),
) -> list[str]:
    """Return what cannot be: the variable with its value, the rule, and what to write instead.

    `elsewhere`: names of other hosts of the inventory.
    """
    names = list(names)
    found = [text for name in names if (text := _name_refusal(str(name), directory, dns))]
    if not re.fullmatch(r"https://[^\s/]+/\S*", directory):
        found.append(
            f"nginx_acme_directory is `{directory}`, and must be the https:// URL of an ACME directory. For a trial by "
            f"Let's Encrypt's staging CA: nginx_acme_directory: {STAGING}"
        )
    if email and not re.fullmatch(r"[^@\s,]+@[^@\s,]+\.[^@\s,.]+", email):
        found.append(f"nginx_acme_email is `{email}`, which is no e-mail address. Correct it, or leave it out.")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", profile):
        found.append(
            f"nginx_acme_profile is `{profile}`, which is no profile's name. Leave it out for the CA's default."
        )
    if dns and not credentials:
        found.append(
            f"nginx_acme_dns is {dns}, and nginx_acme_dns_credentials is empty: certbot could not write the DNS "
            "record. Set the credentials in the vault."
        )
    if not dns and (shared := sorted({str(name) for name in names} & {str(name) for name in elsewhere})):
        found.append(
            f"nginx_server_names has {', '.join(shared)} on several hosts, and the CA would ask any of them for the "
            "token of one. Set nginx_acme_dns, or nginx_tls: none behind a balancer that has the certificate."
        )
    given = credentials or {}
    wrong = sorted(name for name in given if "\n" in f"{name}{given[name]}" and dns != "google")
    if wrong:
        found.append(f"nginx_acme_dns_credentials has a line break in {', '.join(wrong)}. Each value is one line.")
    # Neither is repeated: the key is a secret, and who mixes them up has it as kid.
    if eab and (
        set(eab) != {"kid", "hmac_key"} or not all(re.fullmatch(r"[^\s#;]+", str(value)) for value in eab.values())
    ):
        found.append(
            f"nginx_acme_eab has {', '.join(sorted(map(str, eab)))}, and must have kid and hmac_key, each one word as "
            "the CA gives it. Write nginx_acme_eab: {kid: ..., hmac_key: ...} in secrets.yml."
        )
    return found


def binding_file(eab: Mapping[str, Any]) -> str:
    """Return the file from which certbot reads an external account binding: on its command line, anybody could."""
    return f"eab-kid = {eab['kid']}\neab-hmac-key = {eab['hmac_key']}\n"


def credentials_file(dns: str, credentials: Mapping[str, Any]) -> str:
    """Return the file from which certbot's DNS plugin reads its credentials."""
    if dns == "google":
        return json.dumps(dict(credentials))
    head = "[default]\n" if dns == "route53" else ""
    return head + "".join(f"{name} = {value}\n" for name, value in credentials.items())


def _name_refusal(name: str, directory: str, dns: str) -> str | None:
    """Why a CA cannot certify a name; None if it can."""
    told = f"nginx_server_names has `{name}`"
    advice = "Name it in full, for example www.example.com, or set nginx_tls: none."
    plain = name.removeprefix("*.")
    if _is_address(name):
        return f"{told}, which is an address, and nginx_tls: acme needs names. {advice}"
    if name != plain and not dns:
        return (
            f"{told}, and a CA certifies a wildcard by DNS only. Set nginx_acme_dns and nginx_acme_dns_credentials, or "
            "name each host in full."
        )
    if not plain.isascii():
        return f"{told}, which has letters beyond ASCII. Write it as DNS has it: {_punycode(name)}"
    if plain != plain.lower():
        return f"{told}. Write it in lower case: {name.lower()}"
    if len(plain) > 253 or not all(_LABEL.fullmatch(label) for label in plain.split(".")) or plain == "_":
        return f"{told}, which is a pattern and no name of a host: no CA certifies it. {advice}"
    if "." not in plain and directory in {LETS_ENCRYPT, STAGING}:
        return f"{told}, which is no name in the public DNS: Let's Encrypt does not certify it. {advice}"
    return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _punycode(name: str) -> str:
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return "xn--..."
