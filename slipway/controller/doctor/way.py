"""Checks of the way to a host: names, ports, keys and logins, each jump host first."""

import json
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.controller import host_status, inventory
from slipway.controller.doctor.finding import Finding, Place, is_healthy
from slipway.controller.ssh import arguments, jumps, known_keys, known_name, resolve

CONNECT_SECONDS = 5
PROBE = Path(__file__).with_name("probe.py")
_ACCEPT_NEW = {"no", "off", "false", "accept-new"}


@dataclass
class Way:
    """The way to a host, and what the host told at the end of it."""

    name: str
    values: Mapping[str, Any]
    told: dict[str, Any] = field(default_factory=dict)
    """What probe.py prints; empty if it did not run."""
    status: dict[str, Any] = field(default_factory=dict)
    """What the engine says; empty if there is none, or no login."""
    seconds: float = 0
    """How much later the host's clock may be, since the answer was under way."""
    requested_at: float = 0
    is_app: bool = True
    """Whether it serves the app: a data host of its own has neither site nor user deploy."""

    @property
    def place(self) -> Place:
        """Where the findings are."""
        return Place(self.name)

    def checks(self) -> Iterator[Finding]:
        """Yield the findings, from here to the logins.

        Raises:
            SlipwayError: the inventory says by a template how the host is reached.
        """
        user = inventory.admin(dict(self.values))
        try:
            args = arguments(self.name, self.values, user)
            hops = [*jumps(args), args]
            configs = [resolve(hop) for hop in hops]
        except ValueError as error:
            yield self.place.wrong("ssh's options", str(error), "correct ansible_ssh_common_args in hosts.yml")
            return
        first = list(self._first_hop(configs[0]))
        yield from first
        for hop, config in zip(hops, configs, strict=True):
            yield self._key(hop, config)
        # The logins would repeat it. With a ProxyCommand, ssh goes another way than by name and port.
        if not is_healthy(first) and "proxycommand" not in configs[0]:
            for check in (f"login as {user}", *(["login as deploy"] if self.is_app else [])):
                yield self.place.skipped(check, "there is no way to the host, see above")
            return
        yield from self._admin(user, args)
        if self.is_app:
            yield self._deploy(inventory.ssh(self.name, dict(self.values), "deploy"))
        elif self.told:
            yield self._data(inventory.ssh(self.name, dict(self.values), user))

    def _first_hop(self, config: Mapping[str, str]) -> Iterator[Finding]:
        """What can be seen from here alone: behind a jump host, names and ports are its own matter."""
        host, port = config["hostname"], int(config["port"])
        try:
            addresses = {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        except OSError as error:
            yield self.place.wrong("name", f"{host} does not resolve ({error})", "correct ansible_host in hosts.yml")
            return
        yield self.place.ok("name", f"{host} is {', '.join(sorted(addresses))}" if {host} != addresses else host)
        silence = connect(host, port)
        fix = "correct ansible_port in hosts.yml, start sshd, or open the port in the firewall" if silence else ""
        yield self.place.verdict("port", f"{host} port {port}: {silence or 'open'}", fix)

    def _key(self, hop: list[str], config: Mapping[str, str]) -> Finding:
        name = known_name(config)
        if known_keys(config):
            return self.place.ok("host key", f"{name} is known")
        if config.get("stricthostkeychecking") in _ACCEPT_NEW:
            return self.place.ok("host key", f"{name} is taken as it comes: StrictHostKeyChecking is off")
        return self.place.wrong(
            "host key",
            f"{name} is not in known_hosts",
            f"ssh {shlex.join(hop)}\ncompare the key that it shows with the host's own, once",
        )

    def _admin(self, user: str, args: list[str]) -> Iterator[Finding]:
        self.requested_at = time.time()
        ssh = inventory.ssh(self.name, dict(self.values), user, *host_status.OPTIONS)
        status, printed, error = _run([*ssh, "python3 -I -"], PROBE.read_text(encoding="utf-8"))
        self.seconds = time.time() - self.requested_at
        check = f"login as {user}"
        if status == 255:
            fix = f"ssh {shlex.join(args)}\nwho provisions: host_admin, or ansible_user for one host"
            yield self.place.wrong(check, error, fix)
            return
        yield self.place.ok(check, "works")
        try:
            self.told = json.loads(printed)
        except ValueError:
            missing = "apt-get install python3, on the host"
            yield self.place.wrong("Python", error or f"python3 ends with status {status}", missing)

    def _deploy(self, ssh: list[str]) -> Finding:
        check = "login as deploy"
        try:
            self.status = host_status.ask(ssh)
        except host_status.NoStatusError as error:
            fix = f"slipway provision: it creates the user, whose keys are host_deploy_keys\n{shlex.join(ssh)}"
            return self.place.wrong(check, str(error).splitlines()[-1], fix)
        return self.place.ok(check, "works")

    def _data(self, ssh: list[str]) -> Finding:
        """Ask a data host, as who provisions."""
        check = "status"
        try:
            self.status = host_status.ask(ssh)
        except host_status.NoStatusError as error:
            fix = "slipway provision: it installs the command `slipway` there"
            return self.place.wrong(check, str(error).splitlines()[-1], fix)
        return self.place.ok(check, str(self.status.get("state")))


def connect(host: str, port: int) -> str:
    """Try to connect. Returns why not, empty if it works."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_SECONDS):
            return ""
    except TimeoutError:
        return f"no answer within {CONNECT_SECONDS} s"
    except OSError as error:
        return error.strerror or str(error)


def _run(command: list[str], stdin: str) -> tuple[int, str, str]:
    """Return the status (255: ssh's own), what was printed, and the last line of the errors."""
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=host_status.TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return 255, "", f"no answer within {host_status.TIMEOUT_SECONDS} s"
    lines = done.stderr.strip().splitlines()
    return done.returncode, done.stdout, lines[-1] if lines else ""
