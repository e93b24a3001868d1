"""What the tests of images that listen on a port have in common."""

from collections.abc import Iterator
from typing import Any

import pytest
from clients import Load

ELSEWHERE = "slipway-elsewhere"


@pytest.fixture
def no_request_fails(addresses: dict[str, str]) -> Iterator[None]:
    load = Load(addresses["http"])
    yield
    load.stop()
    print(dict(load.answers))
    assert set(load.answers) == {"200"}
    assert load.answers["200"] > 20


@pytest.fixture
def elsewhere(host: Any) -> Iterator[str]:
    """Another machine on a network of the host, with a route to the networks of the apps over it."""
    commands = [
        f"ip netns add {ELSEWHERE}",
        f"ip link add elsewhere type veth peer name eth0 netns {ELSEWHERE}",
        "ip address add 203.0.113.1/24 dev elsewhere && ip link set elsewhere up",
        f"ip -netns {ELSEWHERE} address add 203.0.113.2/24 dev eth0",
        f"ip -netns {ELSEWHERE} link set eth0 up",
        f"ip -netns {ELSEWHERE} route add default via 203.0.113.1",
    ]
    host.check_output(" && ".join(commands))
    yield f"nsenter --net=/run/netns/{ELSEWHERE} "
    host.check_output(f"ip netns delete {ELSEWHERE}; ip link delete elsewhere || true")
