"""The units of processes and jobs that provisioning installs, and the engine's configuration, on each of two hosts."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ansible.conftest import ANSIBLE

pytestmark = pytest.mark.slow

SITE: dict[str, Any] = {
    "nginx_server_names": ["www.example.com"],
    "app_processes": [{"name": "send-mail", "count": 2, "memory_max": "1G"}, {"name": "beat", "single": True}],
    "app_jobs": [{"name": "nightly", "command": "python -m report", "schedule": "*-*-* 04:00:00", "timeout": 60}],
    "slipway_root": str(ANSIBLE.parent),
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
}
SHOWN = {name: "{{ " + name + " }}" for name in ("__app_units", "__release_config", "rules")}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the roles make of the site, by host."""
    folder = tmp_path_factory.mktemp("site")
    # Ansible looks up a template of a role for tasks of the role only: so a copy of the role has one task more.
    shutil.copytree(ANSIBLE / "roles/app", folder / "roles/app")
    write = {"dest": f"{folder}/{{{{ inventory_hostname }}}}.json", "content": "{{ shown | to_json }}", "mode": "0644"}
    rules = "{{ lookup('ansible.builtin.template', '50-slipway.rules.j2') }}"
    show = {"ansible.builtin.copy": write, "vars": {"shown": SHOWN, "rules": rules}}
    tasks = yaml.safe_load((ANSIBLE / "roles/app/tasks/stage.yml").read_text())
    render = next(task for task in tasks if "app_units" in task)
    (folder / "roles/app/tasks/show.yml").write_text(json.dumps([render, show]))
    # A role that is imported brings its variables, whether its tasks run or not.
    roles = [
        {"ansible.builtin.import_role": {"name": role, "tasks_from": tasks}, "when": role == "app"}
        for role, tasks in (("nginx", "stage"), ("release", "configure"), ("app", "show"))
    ]
    # This machine may have no systemd to gather facts of.
    facts = {"ansible.builtin.set_fact": {"systemd": {"version": 257}, "cacheable": True}}
    play = [{"name": "Show", "hosts": "app", "gather_facts": False, "tasks": [facts, *roles]}]
    (folder / "play.yml").write_text(json.dumps(play))
    (folder / "hosts.yml").write_text(yaml.safe_dump({"app": {"hosts": {"www1": {}, "www2": {}}, "vars": SITE}}))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(folder / "hosts.yml")]
    environment = os.environ | {
        "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
        "ANSIBLE_ROLES_PATH": f"{folder}/roles:{ANSIBLE}/roles",
        "ANSIBLE_NOCOLOR": "1",
    }
    done = subprocess.run(
        [*command, str(folder / "play.yml")], cwd=ANSIBLE, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in ("www1", "www2")}


def test_each_process_has_a_template_for_each_of_its_number(hosts: dict[str, Any]) -> None:
    for host in hosts.values():
        files = host["__app_units"]["files"]
        templates = [name for name in files if name.startswith("app-") and "/" not in name]
        assert templates == ["app-send-mail.1@.service", "app-send-mail.2@.service", "app-beat.1@.service"]
        for template in templates:
            assert files[template] == files[templates[0]]
            drop_ins = {name.split("/")[1] for name in files if name.startswith(f"{template}.d/")}
            assert drop_ins == {"10-sandbox.conf", "15-network.conf", "20-egress.conf", "30-settings.conf"}
            assert files[f"{template}.d/10-sandbox.conf"] == files["app@.service.d/10-sandbox.conf"]
        assert "MemoryMax=1G\n" in files["app-send-mail.2@.service.d/30-settings.conf"]
        assert "MemoryMax=512M\n" in files["app-beat.1@.service.d/30-settings.conf"]
        assert "TimeoutStopSec=60\n" in files["app-beat.1@.service.d/30-settings.conf"]


def test_what_runs_once_runs_on_the_first_host(hosts: dict[str, Any]) -> None:
    told = {name: host["__release_config"] for name, host in hosts.items()}
    assert [each["processes"] for each in told.values()] == [{"send-mail": 2}] * 2
    assert [each["single_processes"] for each in told.values()] == [["beat"], []]
    assert [each["jobs"] for each in told.values()] == [["nightly"]] * 2
    timers = [host["__app_units"]["timers"] for host in hosts.values()]
    assert timers == [{"job-nightly.timer": True}, {"job-nightly.timer": False}]


def test_a_job_has_a_timer_and_runs_in_the_sandbox(hosts: dict[str, Any]) -> None:
    files = hosts["www1"]["__app_units"]["files"]
    assert "OnCalendar=*-*-* 04:00:00\n" in files["job-nightly.timer"]
    assert "ExecStart=/usr/local/bin/slipway job %j\n" in files["job-nightly.service"]
    assert files["job-nightly.service.d/10-engine.conf"] == files["deploy@.service.d/10-engine.conf"]
    assert files["job-nightly@.service.d/10-sandbox.conf"] == files["app@.service.d/10-sandbox.conf"]
    assert "TimeoutStartSec=60\n" in files["job-nightly@.service.d/30-settings.conf"]


def test_the_deployers_may_start_these_and_no_other(hosts: dict[str, Any]) -> None:
    line = next(line for line in hosts["www1"]["rules"].splitlines() if "var own" in line)
    names = json.loads(line.partition("= ")[2].rstrip(";"))
    sealing = ["seal", "remove", "command", "point-live", "point-canary"]
    processes = ["app-send-mail.1", "app-send-mail.2", "app-beat.1"]
    assert names == [
        "app",
        "deploy",
        "journal-sync",
        "migrate",
        "proxy",
        "run",
        "scale",
        *sealing,
        *processes,
        "job-nightly",
    ]
