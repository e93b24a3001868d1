"""What the role `data` refuses before a host is touched, and what it derives. Its checks run here, on no host at all."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ansible.conftest import run_play

# Each runs ansible-playbook once, which takes a second or two.
pytestmark = pytest.mark.slow

HERE: dict[str, Any] = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
PASSWORDS = {f"data_{name}_password": "x" * 20 for name in ("app", "migrate", "broker")}
REMOTE: dict[str, Any] = PASSWORDS | {"data_address": "10.0.0.5"}
PROCESSES = [{"name": "worker", "count": 2, "connections": 3}, {"name": "beat", "single": True, "connections": 0}]

PLAY = [
    {
        "name": "Check",
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {"name": "Check", "ansible.builtin.import_role": {"name": "data", "tasks_from": "preflight"}},
            {
                "name": "Show",
                "ansible.builtin.debug": {
                    "msg": "web={{ data_provides.connections }} sum={{ __data_pools.total }} "
                    "{% for part, size in __data_memory.items() %}{{ part }}={{ size }} {% endfor %}"
                },
            },
        ],
    }
]


def check(folder: Path, app: list[str], data: list[str], values: dict[str, Any]) -> tuple[int, str]:
    """Run the checks; return their status and all of their output as one line."""
    groups = {"app": app, "data": data}
    inventory = {name: {"hosts": dict.fromkeys(hosts, HERE)} for name, hosts in groups.items()}
    given = {"app_workers": 4, "app_workload": "io", "app_processes": []} | values
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory | {"all": {"vars": given}}))
    (folder / "play.yml").write_text(json.dumps(PLAY))
    return run_play(folder)


@pytest.mark.parametrize(
    ("app", "values", "expected"),
    [
        # (100 - 10) / 2 releases
        (["www1"], {}, "web=45 sum=100"),
        # (100 - 10) / (2 releases x 3 hosts)
        (["www1", "www2", "www3"], REMOTE, "web=15 sum=100"),
        (["www1"], {"data_pool_size": 5, "data_task_connections": 5}, "web=20 sum=60"),
        # 45 less the 2 x 3 that the workers of the queue have; who schedules has none
        (["www1"], {"app_processes": PROCESSES}, "web=39 sum=100"),
    ],
)
def test_pools_that_fit(tmp_path: Path, app: list[str], values: dict[str, Any], expected: str) -> None:
    status, output = check(tmp_path, app, app if len(app) == 1 else ["db1"], values)
    assert not status, output
    assert expected in output


@pytest.mark.parametrize(
    ("app", "values", "expected"),
    [
        (
            ["www1"],
            {"data_pool_size": 12},
            "2 releases (during a deploy) x 1 hosts x (4 workers x 12 connections + 0 of tasks) + 10 in reserve = 106, "
            "and data_max_connections is 100. Raise data_max_connections to 106, lower data_pool_size to 11.",
        ),
        (
            ["www1", "www2", "www3"],
            REMOTE | {"data_pool_size": 5, "data_task_connections": 2},
            "x 3 hosts x (4 workers x 5 connections + 2 of tasks) + 10 in reserve = 142, and data_max_connections is 100. "
            "Raise data_max_connections to 142, lower data_pool_size to 3.",
        ),
        (
            ["www1"],
            {"data_pool_size": 11, "app_processes": PROCESSES},
            "(4 workers x 11 connections + 6 of tasks) + 10 in reserve = 110, and data_max_connections is 100. "
            "Raise data_max_connections to 110, lower data_pool_size to 9.",
        ),
        (
            ["www1"],
            {"app_workers": 48},
            "(48 workers x 1 connections + 0 of tasks) + 10 in reserve = 106, and data_max_connections is 100. "
            "Raise data_max_connections to 106, or run fewer workers (app_workers).",
        ),
    ],
)
def test_pools_that_do_not_fit(tmp_path: Path, app: list[str], values: dict[str, Any], expected: str) -> None:
    status, output = check(tmp_path, app, app if len(app) == 1 else ["db1"], values)
    assert status
    assert expected in output


@pytest.mark.parametrize(
    ("data", "values", "expected"),
    [
        (["www1", "db1"], {}, "The group `data` has 2 hosts (db1, www1), and the data are in one place"),
        (["db1"], PASSWORDS, "data_address is ``, and www1 must reach the data host there"),
        (["db1"], REMOTE | {"data_address": "203.0.113.7"}, "data_address is `203.0.113.7`"),
        (["db1"], REMOTE | {"data_address": "10.0.0.5, 0.0.0.0"}, "data_address is `10.0.0.5, 0.0.0.0`"),
        (
            ["db1"],
            REMOTE | {"data_migrate_password": "short", "data_broker_password": ""},
            "data_migrate_password, data_broker_password: must have 20 letters and digits or more, since www1 is not the "
            "data host. Make each by `openssl rand -hex 24`",
        ),
    ],
)
def test_a_data_host_that_cannot_be(tmp_path: Path, data: list[str], values: dict[str, Any], expected: str) -> None:
    status, output = check(tmp_path, ["www1"], data, values)
    assert status
    assert expected in output


MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
"""MiB of the machine that the checks run on."""


@pytest.mark.parametrize(
    ("app", "values", "memory"),
    [
        (["www1"], {"data_memory": 1024}, 1024),
        (["www1"], {}, int(MACHINE * 0.25)),
        (["www1", "www2"], REMOTE, int(MACHINE * 0.75)),
    ],
    ids=["given", "beside the app", "a host of its own"],
)
def test_memory_follows_from_the_host(tmp_path: Path, app: list[str], values: dict[str, Any], memory: int) -> None:
    status, output = check(tmp_path, app, app if len(app) == 1 else ["db1"], values)
    assert not status, output
    assert (
        f"shared_buffers={memory // 4} effective_cache_size={memory // 2} work_mem={memory // 4 // 100} "
        f"maintenance_work_mem={memory // 16} broker={memory // 8}"
    ) in output


def test_little_memory_is_never_none(tmp_path: Path) -> None:
    status, output = check(tmp_path, ["www1"], ["www1"], {"data_memory": 64, "data_max_connections": 400})
    assert not status, output
    assert "shared_buffers=16 effective_cache_size=32 work_mem=1 maintenance_work_mem=16 broker=16" in output


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"data_memory": MACHINE + 1}, f"data_memory is {MACHINE + 1}, and must be MiB from 64 to {MACHINE}"),
        ({"data_memory": 32}, "data_memory is 32, and must be MiB from 64"),
        ({"data_max_connections": 0}, "data_max_connections is 0, and must be a whole number from 10 to 10000"),
        ({"data_pool_size": -1}, "data_pool_size is -1, and must be a whole number, or 0"),
        ({"data_task_connections": -1}, "data_task_connections is -1, and must be a whole number, or 0"),
        # PostgreSQL keeps five back from the app, whatever a person says.
        ({"data_reserved_connections": 4}, "data_reserved_connections is 4, and must be 5 or more"),
    ],
    ids=str,
)
def test_numbers_that_cannot_be(tmp_path: Path, values: dict[str, Any], expected: str) -> None:
    status, output = check(tmp_path, ["www1"], ["www1"], values)
    assert status
    assert expected in output
    assert f"Set for example {next(iter(values))}: " in output
