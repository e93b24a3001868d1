"""The end of a certificate that nobody renews, as a real server presents it."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.alerts.certificate import expiring
from tests.acme.conftest import make, presented  # noqa: F401

DAY = 86400


@pytest.mark.parametrize(
    ("days", "age", "told"),
    [
        (90, 0, None),
        (90, 70, None),
        (90, 80, "expires soon"),
        (6, 1, None),
        (6, 5, "expires soon"),
        (90, 91, "is not valid"),
    ],
)
def test_it_is_told_in_time(
    make: Callable[..., str],  # noqa: F811
    tmp_path: Path,
    days: int,
    age: int,
    told: str | None,
) -> None:
    with presented(make("www.example.com", days=days, age=age), tmp_path) as port:
        alert = expiring(port, "www.example.com", time.time())
    assert (alert and alert.title) == (told and f"the certificate of www.example.com {told}")
    assert alert is None or "nginx_tls_certificate" in alert.next


def test_where_nothing_listens_the_site_is_down() -> None:
    assert expiring(1, "www.example.com", time.time()) is None
