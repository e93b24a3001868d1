"""Whether the other app hosts answer: one that is down tells nobody."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from slipway.engine.probe import Front
from slipway.model.address import in_url
from slipway.model.site import Site


def silent(front: Front, site: Site, addresses: Mapping[str, str]) -> dict[str, str]:
    """Ask each host's nginx, as a client does. An error in its response is told by that host itself.

    Args:
        front: sends the requests.
        site: of this host; the others have the same.
        addresses: of the other hosts, by name.

    Returns:
        Why there was no response, by the host's name.
    """
    answers = {
        name: front.get(_url(site.front_url, address), site.ready_path, site.probe_host, scheme=site.probe_scheme)
        for name, address in addresses.items()
    }
    return {name: f"{addresses[name]}: {answer}" for name, answer in answers.items() if not answer.status}


def _url(own: str, address: str) -> str:
    parts = urlsplit(own)
    return parts._replace(netloc=f"{in_url(address)}:{parts.port}").geturl()
