"""One VM, or several: local systemd containers, provisioned and deployed to by the playbooks."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from labs import host
from labs.command import ROOT, run
from labs.host import Host, sum_of_pss_mb
from slipway.controller.local.docker import docker
from slipway.controller.local.hosts import LocalHosts
from tests.platforms.images import release
from tools.checkout import CHECKOUT

DATA = "platforms-data"
VARIABLES = {
    "nginx_server_names": ["localhost", "127.0.0.1"],
    "host_admin": "admin",
    "app_processes": [{"name": "worker"}, {"name": "beat", "single": True, "connections": 0}],
    "release_settings_file": str(ROOT / "ansible/inventories/local/settings.env"),
    "nginx_request_rate": 0,  # all requests come from one address
}


class Hosts:
    """App hosts that get each release together; several share a data host."""

    def __init__(self, names: Sequence[str]) -> None:
        """Name the app hosts. One has its data beside the app."""
        self.names = names
        self._all = [*names, DATA] if len(names) > 1 else [*names]

    @contextmanager
    def serving(self, name: str) -> Iterator["Hosts"]:
        """Create and provision the hosts with a release; remove them after the block."""
        with ExitStack() as stack:
            for each in self._all:
                groups = "data" if each == DATA else "app" if len(self._all) > 1 else "app,data"
                host.create(each, groups)
                stack.callback(run, host.HOST_TOOL, "down", each)
            self._play("site.yml", name)
            yield self

    @property
    def urls(self) -> list[str]:
        """Where each app host serves."""
        return [Host(name).url() for name in self.names]

    def deploy(self, name: str) -> None:
        """Deploy a release to all.

        Raises:
            LabError: it failed.
        """
        self._play("deploy.yml", name)

    def memory_mb(self) -> float:
        """Return the memory of all processes of all hosts, in MB."""
        return sum(sum_of_pss_mb(Host(name).shell(pss())) for name in self._all)

    def _play(self, playbook: str, name: str) -> None:
        variables: dict[str, Any] = VARIABLES | {"release_image": release(name)}
        if len(self._all) > 1:
            container = LocalHosts(ROOT / ".cache/hosts", CHECKOUT).container(DATA)
            variables["data_address"] = docker("inspect", "--format={{.NetworkSettings.IPAddress}}", container).strip()
            variables |= {f"data_{one}_password": "of-the-measurement-123" for one in ("app", "migrate", "broker")}
        inventories = [f"--inventory={ROOT}/.cache/hosts/{each}/inventory.yml" for each in self._all]
        run("ansible-playbook", *inventories, "-e", json.dumps(variables), playbook, cwd=ROOT / "ansible")


def pss(*pids: str) -> str:
    """Return a script that prints the memory of these processes, of all without one; shared pages count once."""
    files = " ".join(f"/proc/{pid}/smaps_rollup" for pid in pids) or "/proc/[0-9]*/smaps_rollup"
    return f"cat {files} 2>/dev/null | grep '^Pss:'"
