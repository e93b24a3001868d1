"""`slipway doctor`: each check is wrong when it should be, and says what to type. With real hosts: tests/verbs."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway import __version__
from slipway.controller.doctor import host, machine, site, way
from slipway.controller.doctor.finding import Finding, State, as_document, as_text, is_healthy
from slipway.controller.doctor.run import run
from slipway.controller.doctor.way import Way
from slipway.controller.init import run as init
from slipway.controller.project import Project
from tests.init.repositories import make
from tests.wheel import write_shop

PROGRAMS = {
    "ssh": "echo OpenSSH_9.2p1 Debian-2 >&2",
    "rsync": "echo 'rsync  version 3.2.7  protocol version 31'",
    "git": "echo git version 2.39.5",
    "docker": "echo 20.10.24",
}


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    return Project.find(write_shop(tmp_path / "shop"))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all programs, first and last on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in PROGRAMS.items():
        write(folder, name, script)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(machine, "find_docker", lambda: str(folder / "docker"))
    return folder


def write(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def by_check(findings: Iterator[Finding] | list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


def wrong(findings: Iterator[Finding] | list[Finding]) -> dict[str, str]:
    """What is wrong, with what to type."""
    return {finding.check: finding.fix for finding in findings if finding.state is State.WRONG}


def test_a_machine_that_has_all(programs: Path) -> None:
    findings = list(machine.checks())
    assert wrong(findings) == {}
    assert [finding.check for finding in findings] == ["versions", "docker", "ssh", "rsync", "git"]
    assert __version__ in findings[0].found


@pytest.mark.parametrize(
    ("name", "script", "found", "fix"),
    [
        ("ssh", None, "is not installed: it reaches the hosts", "apt-get install openssh-client"),
        ("ssh", "echo OpenSSH_8.4p1 Debian-5 >&2", "9.0 or newer is needed", "apt-get install openssh-client"),
        ("rsync", "echo openrsync: protocol version 29", "3.1 or newer is needed", "apt-get install rsync"),
        ("rsync", "echo 'rsync  version 3.0.9  protocol version 30'", "3.1 or newer", "apt-get install rsync"),
        ("rsync", None, "is not installed: it ships releases", "apt-get install rsync"),
        ("git", None, "is not installed", "apt-get install git"),
        ("docker", None, "is not installed: it builds images", "apt-get install docker.io"),
        (
            "docker",
            "echo 'Cannot connect to the Docker daemon' >&2; exit 1",
            "Cannot connect",
            "systemctl start docker",
        ),
    ],
)
def test_a_program_that_is_missing_or_too_old(
    programs: Path, name: str, script: str | None, found: str, fix: str
) -> None:
    (programs / name).unlink()
    if script:
        write(programs, name, script)
    findings = by_check(machine.checks())
    assert list(wrong(list(findings.values()))) == [name]
    assert found in findings[name].found
    assert fix in findings[name].fix


def test_what_runs_on_a_host_needs_nothing_but_python(programs: Path) -> None:
    lines = (
        "Inst tar [1.34] (1.35 Debian:13/stable [amd64])",
        "Inst nginx [1.26] (1.27 Debian-Security:13/stable [amd64])",
    )
    write(programs, "apt-get", f"[ $1 = --simulate ] && printf '%s\\n' '{lines[0]}' '{lines[1]}'")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-"], input=way.PROBE.read_text(), capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    assert abs(told["time"] - time.time()) < 60
    assert told["memory_mb"] > 0
    assert told["updates"] == 1
    assert 0 < told["seconds"] < 60
    assert told["sudo"] == "root" or os.geteuid()


GOOD: dict[str, Any] = {
    "python": "3.13.5",
    "system": ["debian", "13"],
    "init": "systemd",
    "memory_mb": 2000,
    "swap_mb": 0,
    "free_mb": 9000,
    "sudo": "yes",
    "sudo_seconds": 0.1,
    "name": "www1",
    "seconds": 0.2,
    "addresses": ["203.0.114.7", "2a01:4f8::7", "10.0.0.7"],
    "reboot": None,
    "updates": 0,
}
STATUS = {"version": __version__, "state": "healthy", "live": "20261128T120000-abcdef0", "site": {}}


def drifted(state: str, *changed: str) -> dict[str, Any]:
    return {"state": state, "looked_at": "2026-11-28T03:00:00+00:00", "added": [], "removed": [], "changed": [*changed]}


def backed_up(backup: str, test: str) -> dict[str, Any]:
    at = {"at": "2026-11-28T03:00:00+00:00", "cause": "the disk is full"}
    last = at | {"kind": "nightly", "snapshot": "abc", "snapshot_at": at["at"], "rows": 1, "tables": 1}
    return {"backup": at | {"state": backup, "last": last}, "restore_test": at | {"state": test, "last": last}}


def certificate(state: str, failures: int = 0) -> dict[str, Any]:
    values = {"expires": "2027-01-01", "failing_since": "2026-11-28" if failures else None, "next_attempt": None}
    return values | {"name": "shop.example.com", "state": state, "failures": failures, "reason": "NXDOMAIN" * failures}


def of_host(shop: Project, values: dict[str, Any], told: dict[str, Any], status: dict[str, Any]) -> list[Finding]:
    values = {"nginx_server_names": ["localhost"], "nginx_http_port": 1} | values
    seen = Way("www1", values, GOOD | {"time": 1000.5} | told, STATUS | status, seconds=1, requested_at=1000)
    return list(host.checks(seen, shop, "production"))


@pytest.mark.parametrize(
    ("values", "told", "status", "expected"),
    [
        ({}, {}, {}, {}),
        ({}, {"python": "3.9.2"}, {}, {"Python": "3.11 or newer"}),
        ({}, {"system": ["debian", "11"]}, {}, {"system": "Debian 12 or Debian 13 or Ubuntu 24.04"}),
        ({}, {"system": ["fedora", "43"]}, {}, {"system": "Debian 12"}),
        ({}, {"init": "runit"}, {}, {"PID 1": "systemd"}),
        ({}, {"free_mb": 300}, {}, {"space": "apt-get clean"}),
        ({}, {"memory_mb": 900}, {}, {"memory": "a smaller app_memory_max"}),
        ({"app_memory_max": "half"}, {}, {}, {"memory": "write a size"}),
        ({}, {"sudo": "none"}, {}, {"sudo": "apt-get install sudo"}),
        ({}, {"sudo_seconds": 10.1}, {}, {"sudo": "echo 127.0.1.1 www1 | sudo tee -a /etc/hosts"}),
        ({}, {"time": 940.0}, {}, {"clock": "timedatectl"}),
        ({}, {"time": 1060.0}, {}, {"clock": "timedatectl"}),
        ({}, {}, {"site": {"project": "acme/other"}}, {}),
        ({"host_project": "acme/shop"}, {}, {"site": {"project": "acme/other"}}, {"owner": "host_adopted=true"}),
        ({}, {}, {"site": {"environment": "staging"}}, {"owner": "host_adopted=true"}),
        ({}, {}, {"version": "0.8.0"}, {"engine": "slipway provision production"}),
        ({}, {}, {"state": "failed"}, {"release": "slipway status production"}),
        ({}, {}, {"live": None}, {"release": "slipway deploy production"}),
        ({}, {"reboot": "linux-image-amd64"}, {}, {"reboot": "sudo systemctl reboot"}),
        ({}, {"reboot": ""}, {}, {"reboot": "hardening_reboot_at"}),
        ({}, {"updates": 3}, {}, {}),
        ({}, {"updates": None}, {}, {}),
        ({}, {}, {"drift": drifted("clean")}, {}),
        ({}, {}, {"drift": drifted("never")}, {}),
        ({}, {}, {"drift": drifted("old")}, {"drift": "journalctl -u drift.service"}),
        ({}, {}, {"drift": drifted("differs", "/etc/x")}, {"drift": "slipway provision production -- --check --diff"}),
        ({}, {}, {"backup": None}, {}),
        ({}, {}, {"backup": backed_up("ok", "never")}, {}),
        ({}, {}, {"backup": backed_up("failed", "ok")}, {"backup": "/usr/local/lib/slipway/backup create"}),
        (
            {},
            {},
            {"backup": backed_up("ok", "ok") | {"wal": {"state": "failed", "at": "now", "cause": "x", "last": None}}},
            {"wal": "/usr/local/lib/slipway/backup wal"},
        ),
        ({}, {}, {"backup": backed_up("ok", "old")}, {"restore test": "/usr/local/lib/slipway/backup verify"}),
        ({}, {}, {"certificates": [certificate("valid"), certificate("none")]}, {}),
        ({}, {}, {"certificates": [certificate("none", 2)]}, {"certificate": "systemctl start nginx-acme@now"}),
        ({}, {}, {"certificates": [certificate("expiring")]}, {"certificate": "nginx-acme@now"}),
        ({"nginx_server_names": ["shop.invalid"]}, {}, {}, {"site": "an A record"}),
        ({"nginx_server_names": []}, {}, {}, {"site": "nginx_server_names:"}),
    ],
)
def test_what_a_host_told(
    shop: Project, values: dict[str, Any], told: dict[str, Any], status: dict[str, Any], expected: dict[str, str]
) -> None:
    found = wrong(of_host(shop, values, told, status))
    found.pop("port 1", None)  # nobody listens there
    assert set(found) == set(expected)
    assert all(text in found[check] for check, text in expected.items())


DATA_STATUS = {
    "version": __version__,
    "state": "healthy",
    "site": {},
    "services": {"postgresql@17-main.service": "active"},
    "problems": [],
    "disk": {"free_bytes": 2**30, "free_inodes": 9},
    "backup": backed_up("ok", "ok"),
}


def problem(key: str) -> dict[str, str]:
    return {"key": key, "title": "too little memory", "detail": "", "next": "top -o %MEM", "mark": ""}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, {}),
        ({"version": "0.8.0"}, {"engine": "slipway provision production"}),
        ({"site": {"environment": "staging"}}, {"owner": "host_adopted=true"}),
        ({"services": {"postgresql@17-main.service": "inactive"}}, {"service": "systemctl restart postgresql@17-main"}),
        ({"backup": backed_up("failed", "ok")}, {"backup": "/usr/local/lib/slipway/backup create"}),
        ({"backup": backed_up("ok", "failed")}, {"restore test": "/usr/local/lib/slipway/backup verify"}),
        ({"backup": None}, {}),
        ({"problems": [problem("memory")]}, {"problem": "top"}),
        # Another check has it.
        ({"problems": [problem("reboot"), problem("clock"), problem("unit:postgresql@17-main.service")]}, {}),
    ],
)
def test_what_a_data_host_of_its_own_told(shop: Project, status: dict[str, Any], expected: dict[str, str]) -> None:
    told = GOOD | {"time": 1000.5}
    seen = Way("db1", {}, told, DATA_STATUS | status, seconds=1, requested_at=1000, is_app=False)
    findings = list(host.checks(seen, shop, "production"))
    found = wrong(findings)
    assert set(found) == set(expected)
    assert all(text in found[check] for check, text in expected.items())
    assert {"service", "disk", "backup"} <= set(by_check(findings))
    assert {"release", "site"}.isdisjoint(by_check(findings))


@pytest.mark.parametrize(
    ("values", "told", "reckoned"),
    [
        ({"app_memory_max": "1G"}, {}, "2 releases (during a deploy) x 1024 = 2248 MiB, and this host has 2000"),
        ({"app_processes": [{"name": "worker", "count": 2}]}, {}, "x 1536 = 3272 MiB"),
        ({"app_memory_max": "1G"}, {"swap_mb": 512}, ""),
        ({"app_memory_max": "infinity", "app_processes": "{{ [] }}"}, {}, ""),
    ],
)
def test_memory_is_reckoned_as_provisioning_does(
    shop: Project, values: dict[str, Any], told: dict[str, Any], reckoned: str
) -> None:
    found = by_check(of_host(shop, values, told, {}))["memory"]
    assert (found.state is State.WRONG) == bool(reckoned)
    assert reckoned in found.found


@pytest.mark.parametrize(
    ("records", "values", "fixes"),
    [
        (["203.0.114.7"], {}, []),
        (["203.0.114.7", "2a01:4f8::7"], {}, []),
        (["203.0.114.8"], {}, ["A record 203.0.114.8"]),
        (["203.0.114.7", "2a01:4f8::8"], {}, ["AAAA record 2a01:4f8::8"]),
        (["203.0.114.8", "2a01:4f8::8"], {}, ["A record 203.0.114.8", "AAAA record 2a01:4f8::8"]),
        (["203.0.114.8"], {"nginx_trusted_proxies": ["203.0.114.8"]}, []),
        (["203.0.114.9"], {"ansible_host": "203.0.114.9"}, []),  # translated by the provider
    ],
)
def test_where_the_records_of_a_name_lead(
    shop: Project, records: list[str], values: dict[str, Any], fixes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lookup(name: str, port: int, **_options: Any) -> list[Any]:
        addresses = records if name == "shop.example.com" else [name]
        return [(family(address), 1, 6, "", (address, port)) for address in addresses if address != "www1"]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr(site, "connect", lambda _name, _port: "")
    findings = of_host(shop, {"nginx_server_names": ["shop.example.com", "*.example.com"]} | values, {}, {})
    fix = wrong(findings).get("site", "")
    assert [line for line in fixes if line in fix] == fixes
    assert bool(fix) == bool(fixes)
    assert not fix or "nginx_trusted_proxies" in fix


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def test_a_host_that_knows_no_public_ipv4_address_is_believed(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "connect", lambda _name, _port: "")
    records = [(socket.AF_INET, 1, 6, "", ("203.0.114.8", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda name, *_a, **_b: records if name == "shop.example.com" else [])
    told = {"addresses": ["10.0.0.7", "2a01:4f8::7"]}
    assert wrong(of_host(shop, {"nginx_server_names": ["shop.example.com"]}, told, {})) == {}


def test_the_clock_is_compared_without_what_the_probe_took(shop: Project) -> None:
    """The host's time is told last, after 20 s of looking for updates."""
    values = {"nginx_server_names": ["localhost"]}
    for time_, off in ((1020.1, False), (1020.9, False), (1001.0, True), (1040.0, True)):
        told = GOOD | {"seconds": 20.0, "time": time_}
        seen = Way("www1", values, told, STATUS, seconds=21, requested_at=1000)
        assert (by_check(host.checks(seen, shop, "production"))["clock"].state is State.WRONG) == off


def test_a_port_of_the_site_that_is_closed(shop: Project) -> None:
    """Before provisioning nothing listens, and a refusal shows that packets arrive."""
    assert "provider's firewall" in wrong(of_host(shop, {}, {}, {}))["port 1"]
    bare = Way("www1", {"nginx_server_names": ["localhost"], "nginx_http_port": 1, "nginx_tls": "files"})
    found = by_check(host.checks(bare, shop, "production"))
    assert found["port 1"].state is State.OK
    assert set(found) == {"site", "port 1", "port 443"}


def test_sudo_with_a_password_is_no_fault_and_says_how(shop: Project) -> None:
    found = by_check(of_host(shop, {}, {"sudo": "password"}, {}))["sudo"]
    assert (found.state, found.fix) == (State.OK, "slipway provision production -- --ask-become-pass")
    assert by_check(of_host(shop, {"ansible_become_password": "x"}, {"sudo": "password"}, {}))["sudo"].fix == ""


def test_the_way_to_a_host_that_is_not_there() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        port = nobody.getsockname()[1]
        values = {"ansible_host": "127.0.0.1", "ansible_port": port, "ansible_user": "me"}
        findings = list(Way("www1", values).checks())
    found = wrong(findings)
    assert list(found) == ["port", "host key"]
    assert f"ssh -p{port} me@127.0.0.1" in found["host key"]
    # What follows from the first fault is none of its own.
    assert {by_check(findings)[f"login as {user}"].state for user in ("me", "deploy")} == {State.SKIPPED}


def test_an_example_that_nobody_replaced_is_what_is_wrong(tmp_path: Path) -> None:
    init(make("sqlmodel", tmp_path))
    findings = run(tmp_path, "production")
    found = [finding for finding in findings if finding.where != "this machine" and finding.state is State.WRONG]
    assert [finding.check for finding in found] == ["hosts"]
    assert "192.0.2.10" in found[0].found
    assert "slipway doctor production" in found[0].fix


def test_a_name_that_does_not_resolve() -> None:
    found = wrong(Way("www1", {"ansible_host": "www1.invalid"}).checks())
    assert found["name"] == "correct ansible_host in hosts.yml"


def test_options_that_ssh_refuses() -> None:
    assert list(wrong(Way("www1", {"ansible_ssh_common_args": "-o NoSuchOption=1"}).checks())) == ["ssh's options"]


@pytest.mark.parametrize(
    ("hosts", "check", "told"),
    [
        ("app: {hosts: {www1: {ansible_host: '{{ address }}'}}}\n", "inventory", "only playbooks resolve templates"),
        ("app: {hosts: {}}\n", "hosts", "has no hosts in the group `app`"),
        ("app: [\n", "hosts", "hosts.yml:2:1 is not YAML"),
        (
            "app: {hosts: {www1: {ansible_host: 127.0.0.1, ansible_port: 1, app_egres: none}}}\n",
            "variables",
            "app_egress?",
        ),
    ],
)
def test_an_inventory_that_is_wrong(shop: Project, hosts: str, check: str, told: str) -> None:
    (shop.inventories / "production/hosts.yml").write_text(hosts)
    found = by_check([finding for finding in run(shop.root, "production") if finding.state is State.WRONG])
    assert told in found[check].found


def test_a_data_host_of_its_own_is_looked_at_as_provisioning_reaches_it(shop: Project) -> None:
    hosts = shop.inventories / "production/hosts.yml"
    nobody = "{ansible_host: 127.0.0.1, ansible_port: 1, ansible_user: me}"
    hosts.write_text(f"app: {{hosts: {{www1: {nobody}}}}}\ndata: {{hosts: {{www1: , db1: {nobody}}}}}\n")
    found: dict[str, list[str]] = {}
    for finding in run(shop.root, "production"):
        found.setdefault(finding.where, []).append(finding.check)
    assert found["db1"] == ["name", "port", "host key", "login as me"]
    assert "login as deploy" in found["www1"]


def test_outside_of_a_project(tmp_path: Path) -> None:
    assert "slipway init" in by_check(run(tmp_path, ""))["project"].found


def test_findings_for_people_and_programs(shop: Project) -> None:
    findings = of_host(shop, {"nginx_http_port": 1}, {"init": "runit"}, {})
    assert not is_healthy(findings)
    text = as_text(findings)
    assert text.startswith("www1\n  ok      Python")
    assert "  wrong   PID 1" in text
    assert text.endswith("2 of 14 checks are wrong")
    document = json.loads(json.dumps(as_document(findings)))
    assert document["healthy"] is False
    assert document["findings"][2] == {
        "where": "www1",
        "check": "PID 1",
        "state": "wrong",
        "found": "runit",
        "fix": "use a host with systemd as PID 1",
    }
