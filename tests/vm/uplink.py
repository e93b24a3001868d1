"""A provider's IPv6: a router that advertises a network to a VM, and clients in two others, all on a tap of this machine.

QEMU's own network forwards no port over IPv6. The networks are of those for documentation, which nobody routes.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.controller.program import as_root

TAP = "slipway-vm"
ROUTER = "2001:db8:51:1::1"
CLIENT, NEIGHBOUR, STRANGER = "2001:db8:51:2::1", "2001:db8:51:2::2", "2001:db8:51:3::1"
"""The first two are of one network."""
INTERVAL_SECONDS, LIFETIME_SECONDS = 10, 40
"""Between two advertisements, and of a route that none renews."""


@contextmanager
def uplink(folder: Path) -> Iterator[str]:
    """Create the tap and start its router. Yields the tap's name; the link is up once QEMU opens it."""
    _run("ip", "tuntap", "add", "dev", TAP, "mode", "tap")
    try:
        # This machine hears its own router, too.
        _run("sysctl", "--quiet", "--write", f"net.ipv6.conf.{TAP}.accept_ra=0")
        _run("ip", "address", "add", f"{ROUTER}/64", "dev", TAP, "nodad")
        for client in (CLIENT, NEIGHBOUR, STRANGER):
            _run("ip", "address", "add", f"{client}/128", "dev", TAP, "nodad")
        _run("ip", "link", "set", "dev", TAP, "up")
        command = [
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file="),
            *("--port=0", f"--interface={TAP}", "--bind-interfaces", "--enable-ra", "--log-facility=-", "--user=root"),
            f"--dhcp-range={ROUTER.removesuffix('1')},ra-only,64,120",
            f"--ra-param={TAP},{INTERVAL_SECONDS},{LIFETIME_SECONDS}",
        ]
        with (folder / "dnsmasq.log").open("wb") as log:
            router = subprocess.Popen(as_root(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        time.sleep(0.5)
        assert router.poll() is None, (folder / "dnsmasq.log").read_text()
        try:
            yield TAP
        finally:
            router.terminate()
            router.wait()
    finally:
        _run("ip", "link", "delete", "dev", TAP)


def forget_neighbours() -> None:
    """Let this machine look for the VM's link address again."""
    _run("ip", "-6", "neighbour", "flush", "dev", TAP)


def _run(*command: str) -> None:
    subprocess.run(as_root(command), check=True, stdin=subprocess.DEVNULL)
