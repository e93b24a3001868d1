"""The host's resolv.conf is replaced, and a running app sees the new one at its next lookup."""

import json
import shlex
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from deploys import examples

from slipway.units import Site, drop_ins

EGRESS = Path(__file__).resolve().parents[5] / "systemd" / "egress"

# Answers every question with the address whose last number is its own.
RESOLVER = """
import selectors, socket
selector = selectors.DefaultSelector()
for number in (2, 3):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((f"127.0.0.{number}", 53))
    selector.register(server, selectors.EVENT_READ, number)
while True:
    for key, _ in selector.select():
        query, client = key.fileobj.recvfrom(512)
        question = query[12:query.index(0, 12) + 5]
        answers = question[-3] == 1
        head = query[:2] + bytes([0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0])
        record = bytes([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, key.data]) * answers
        key.fileobj.sendto(head + question + record, client)
"""
# One process that asks again and again, until the answer changes.
LOOKUPS = """
import socket, time
seen, deadline = [], time.monotonic() + 15
while len(seen) < 2 and time.monotonic() < deadline:
    try:
        address = socket.getaddrinfo("some.test", 80, socket.AF_INET)[0][4][0]
    except OSError as error:
        address = str(error)
    if address not in seen:
        seen.append(address)
        print(address, flush=True)
    time.sleep(0.2)
"""


@pytest.fixture
def resolved_by(host: Any) -> Iterator[Callable[[int], None]]:
    """Replace the host's resolv.conf at once, as resolvconf and others do."""
    host.check_output(f"printf %s '{RESOLVER}' >/run/resolver.py; cp /etc/resolv.conf /run/resolv.conf.kept")
    host.check_output("systemd-run --collect --unit=resolver python3 /run/resolver.py")
    was = host.check_output("systemctl is-active name-resolution.path || true")
    host.check_output("systemctl start name-resolution.path")

    def replace(number: int) -> None:
        host.check_output(
            f"echo nameserver 127.0.0.{number} >/etc/resolv.conf.new && mv /etc/resolv.conf.new /etc/resolv.conf"
        )

    yield replace
    host.check_output("cp /run/resolv.conf.kept /etc/resolv.conf.new && mv /etc/resolv.conf.new /etc/resolv.conf")
    host.check_output("systemctl stop resolver" + "; systemctl stop name-resolution.path" * (was != "active"))


@pytest.mark.parametrize("egress", examples(("host", "networks", "internet"), "host", "networks"))
def test_a_running_app_sees_a_replaced_resolver(
    host: Any, ask: Any, resolved_by: Callable[[int], None], egress: str
) -> None:
    release = json.loads(host.check_output("slipway status --json"))["live"]
    folders = [f"/run/systemd/system/{unit}@.service.d" for unit in ("app", "network")]
    networks = ["127.0.0.0/8"] if egress == "networks" else []
    # After the unit's own drop-ins, whose lists it resets. For `networks`, what provisioning adds: the resolvers of then.
    text = (EGRESS / f"{egress}.conf").read_text().replace("'", "")
    text = text.replace("[Service]", "[Service]\nIPAddressDeny=\nIPAddressAllow=\nIPAddressAllow=localhost")
    text += "".join(f"IPAddressAllow={network}\n" for network in networks)
    site = Site.parse({"egress": egress, "egress_networks": networks})
    for folder, content in zip(folders, (text, drop_ins.network(site)), strict=True):
        host.check_output(f"mkdir -p {folder} && printf %s {shlex.quote(content)} >{folder}/90-test.conf")
    # The network is built again, which stops the app, too.
    again = f"systemctl daemon-reload && systemctl stop network@app:{release} && systemctl start app@{release}.service"
    resolved_by(2)
    host.check_output(f"systemctl start name-resolution.service && {again}")
    # It serves again, so it looks up a name before the first change.
    assert ask("/readyz").status == 200
    with ThreadPoolExecutor(1) as pool:
        lookups = pool.submit(ask, "/attacker/run", method="POST", body=LOOKUPS)
        time.sleep(2)
        # Several times in a row, as programs that do this often do.
        for number in (3, 2, 3, 2, 3, 2, 3):
            resolved_by(number)
        answer = lookups.result().json
    host.check_output(f"rm -r {' '.join(folders)} && {again}")
    assert answer["output"].split() == ["192.0.2.2", "192.0.2.3"], answer
