"""Which files nginx is configured by, where each is installed, and the sockets that nginx inherits."""

from collections.abc import Mapping

SERVERS = "servers"
"""The folder of nginx/ with a file for each kind of site. One is installed as server.conf."""
KINDS = {"none": "plain", "files": "tls", "acme": "acme"}
"""Its file for each value of nginx_tls."""


def staged(files: Mapping[str, str], generated: Mapping[str, str], *, tls: str) -> dict[str, str]:
    """Return each path below /etc/nginx with its text.

    `files`: those of the folder nginx/, by their path in it; `generated`: what follows from variables, by name;
    `tls`: nginx_tls.

    Raises:
        KeyError: the file of this kind of site is missing.
    """
    fixed = {_place(path): text for path, text in files.items()}
    filled = {f"slipway/generated/{name}": text for name, text in generated.items()}
    server = files[f"{SERVERS}/{KINDS[tls]}.conf"]
    return fixed | filled | {"slipway/server.conf": server}


def _place(path: str) -> str:
    """nginx.conf and the site's own files are where nginx looks for them; the rest is Slipway's."""
    return path if path == "nginx.conf" or path.startswith("site.d/") else f"slipway/{path}"


def sockets(ports: list[int], *, ipv6: bool) -> list[str]:
    """List where nginx listens, in the order in which systemd hands the sockets over."""
    return [f"{address}:{port}" for address in ("0.0.0.0", *(["[::]"] if ipv6 else [])) for port in ports]  # noqa: S104


def inherited(count: int) -> str:
    """The value of NGINX, which names inherited sockets: numbers from 3, each with a semicolon."""
    return "".join(f"{number};" for number in range(3, 3 + count))
