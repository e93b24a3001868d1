"""What the role `app` passes to slipway.units, and the filters of app_processes."""

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail, AnsibleError

from tests.ansible.conftest import ANSIBLE, ROOT
from tests.units.golden import GOLDEN, read_systemd, show
from tests.units.sites import SITES

REQUIRED: dict[str, Any] = {
    "systemd": str(ROOT / "systemd"),
    "egress": "none",
    "workload": "io",
    # Strings, as from -e on the command line.
    "workers": "0",
    "memory_max": "512M",
    "preload": "true",
    "allow_jit": "no",
    "request_timeout": "30",
    "process_stop_timeout": "60",
    "migrate_timeout": "300",
    "runs_singletons": True,
    "private_processes": "false",
}
PROCESSES = [
    {"name": "worker", "count": "2", "connections": 3},
    {"name": "beat", "single": True, "connections": 0},
    {"name": "mail"},
]


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ANSIBLE / path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(**arguments: Any) -> dict[str, Any]:
    task = SimpleNamespace(args=REQUIRED | arguments, check_mode=False, async_val=0, action="app_units", diff=False)
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    plugin = load("action_plugins/app_units.py").ActionModule(task, connection, None, None, None, None)
    result: dict[str, Any] = plugin.run(None, {})
    return result


@pytest.mark.parametrize("name", SITES)
def test_the_action_returns_the_units_of_a_site(name: str) -> None:
    result = run(**SITES[name])
    assert show(result["files"], read_systemd()) == (GOLDEN / f"{name}.txt").read_text()
    assert not result["changed"]


def test_a_wrong_value_is_named() -> None:
    with pytest.raises(AnsibleError, match="egress must be one of"):
        run(egress="all")
    with pytest.raises(AnsibleActionFail, match="Process has no number; it has connections, count"):
        run(processes=[{"name": "worker", "number": 2}])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match=r"has no app@\.socket\. Set slipway_root"):
        run(systemd=str(tmp_path))


def test_the_filters_of_processes() -> None:
    filters = load("filter_plugins/app_processes.py").FilterModule().filters()
    assert filters["single_processes"](PROCESSES) == ["beat"]
    assert filters["replicated_processes"](PROCESSES) == {"worker": 2, "mail": 1}
    assert filters["process_connections"](PROCESSES, 4) == 2 * 3 + 0 + 4
    assert filters["process_connections"]([], 4) == 0
