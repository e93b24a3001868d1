"""What compose.yaml promises: order, balance, a queue that works, and containers that can do little."""

import json
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from tests.compose.conftest import PROJECT, Compose, within
from tools.checkout import ROOT

SERVICES = {"app", "beat", "nginx", "postgres", "valkey", "worker"}


def make_link(project: Compose) -> str:
    made = project.ask("/links", "POST", {"url": "https://example.org/"})
    assert made.status == 201
    return str(made.json()["slug"])


def test_everything_is_healthy_and_the_migration_ran_once(project: Compose) -> None:
    containers = project.containers().values()
    migrated = [container for container in containers if container["Service"] == "migrate"]
    assert [(container["State"], container["ExitCode"]) for container in migrated] == [("exited", 0)]
    running = [container for container in containers if container["Service"] != "migrate"]
    assert {container["Service"] for container in running} == SERVICES
    assert [container["Health"] for container in running] == ["healthy"] * (len(SERVICES) + 2)
    assert project("logs", "migrate").count("Running upgrade  -> 0001") == 1
    assert project.ask("/readyz").json()["pool"]["size"] > 0


def test_three_containers_of_the_app_share_the_requests(project: Compose) -> None:
    addresses = {
        address
        for name, container in project.containers().items()
        if container["Service"] == "app"
        for address in addresses_of(name)
    }
    for _ in range(60):
        assert project.ask("/version").status == 200
    lines = [line.split("| ", 1)[1] for line in project("logs", "--no-color", "nginx").splitlines() if "| {" in line]
    answered = {json.loads(line)["upstream_addr"].removesuffix(":8000") for line in lines if "/version" in line}
    assert len(answered) == 3
    assert answered <= addresses


def addresses_of(container: str) -> list[str]:
    shown = subprocess.check_output(["docker", "inspect", container], text=True)
    return [network["IPAddress"] for network in json.loads(shown)[0]["NetworkSettings"]["Networks"].values()]


def test_a_container_that_goes_and_one_that_comes_are_noticed(project: Compose) -> None:
    project("up", "--detach", "--no-recreate", "--scale=app=2", "--wait")
    assert {project.ask("/version").status for _ in range(30)} == {200}
    project("up", "--detach", "--no-recreate", "--scale=app=3", "--wait")
    assert {project.ask("/version").status for _ in range(30)} == {200}


def test_a_picture_is_made_in_the_queue_and_served_by_all(project: Compose) -> None:
    slug = make_link(project)
    asked = project.ask(f"/links/{slug}/qr", "POST")
    assert asked.status == 202
    place = asked.headers["location"]
    within(30, lambda: project.ask(place).status == 200)
    pictures = {project.ask(place).body for _ in range(10)}
    assert len(pictures) == 1
    assert pictures.pop().startswith(b"\x89PNG")


def test_clicks_are_rolled_up_by_beat(project: Compose) -> None:
    assert project.ask(f"/{make_link(project)}").status == 307
    day = within(90, lambda: project.ask("/days").json())[0]
    assert day["links"] >= 1


def test_a_worker_that_is_killed_is_started_again(project: Compose) -> None:
    (name,) = [name for name, container in project.containers().items() if container["Service"] == "worker"]
    before = subprocess.check_output(["docker", "inspect", "--format={{.State.Pid}}", name], text=True).strip()
    subprocess.run(["kill", "-9", before], check=True)
    slug = make_link(project)
    place = project.ask(f"/links/{slug}/qr", "POST").headers["location"]
    within(60, lambda: project.ask(place).status == 200)


def test_the_app_can_read_and_write_rows_and_nothing_else(project: Compose) -> None:
    code = (
        "import asyncio\n"
        "from sqlalchemy import text\n"
        "from app.database import Database\n"
        "from app.settings import Settings\n"
        "async def main():\n"
        "    for statement in ('CREATE TABLE x (y int)', 'DROP TABLE links', 'ALTER TABLE links ADD x int'):\n"
        "        try:\n"
        "            async with Database(Settings.load()).write() as session: await session.execute(text(statement))\n"
        "        except Exception as error: print(type(error.orig.__cause__).__name__)\n"
        "asyncio.run(main())"
    )
    said = project("exec", "-T", "app", "python", "-c", code).split()
    assert said == ["InsufficientPrivilegeError"] * 3


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_container_can_do_little(project: Compose, service: str) -> None:
    look = "touch /x 2>/dev/null && echo writable; id -u; grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status | tr -d '\\t'"
    user, *rights = project("exec", "-T", service, "sh", "-c", look).split()
    assert user != "0"
    assert set(rights) == {"CapEff:0000000000000000", "CapBnd:0000000000000000", "NoNewPrivs:1"}
    name = next(name for name, container in project.containers().items() if container["Service"] == service)
    host = json.loads(subprocess.check_output(["docker", "inspect", name], text=True))[0]["HostConfig"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
    assert host["NanoCpus"] > 0


def test_only_nginx_is_on_a_network_that_leads_out(project: Compose) -> None:
    for name, container in project.containers().items():
        shown = json.loads(subprocess.check_output(["docker", "inspect", name], text=True))[0]
        networks = sorted(shown["NetworkSettings"]["Networks"])
        internal = json.loads(subprocess.check_output(["docker", "network", "inspect", *networks], text=True))
        out = {network["Name"] for network in internal if not network["Internal"]}
        assert out == ({f"{PROJECT}_edge"} if container["Service"] == "nginx" else set())


def test_no_password_is_in_the_environment_or_on_a_command_line(project: Compose, secrets: Path) -> None:
    passwords = [file.read_text().split(":")[2].split("@")[0] for file in secrets.iterdir()]
    assert len(set(passwords)) == 3
    for name in project.containers():
        shown = subprocess.check_output(["docker", "inspect", name], text=True)
        assert not [password for password in passwords if password in shown]


def test_a_name_that_is_not_served_is_refused_as_on_a_host(project: Compose) -> None:
    answer = project.ask("/readyz", host="evil.example")
    assert answer.status == 421
    assert answer.headers["content-type"] == "application/problem+json"


def test_nginx_has_the_files_of_a_host(project: Compose) -> None:
    """All of nginx/ but the upstream, byte by byte."""
    for path in (ROOT / "nginx").rglob("*.conf"):
        name = path.relative_to(ROOT / "nginx")
        inside = "/etc/nginx/nginx.conf" if str(name) == "nginx.conf" else f"/etc/nginx/slipway/{name}"
        same = project("exec", "-T", "nginx", "cat", inside) == path.read_text()
        assert same == (str(name) != "upstream.conf"), name


def test_the_generated_files_are_what_the_roles_defaults_give() -> None:
    """Needs no container."""
    variables: dict[str, Any] = {}
    for role in ("app", "nginx"):
        variables |= yaml.safe_load((ROOT / f"ansible/roles/{role}/defaults/main.yml").read_text())
    variables |= {"__nginx_generation": "compose", "app_probe_host": "localhost", "nginx_client_scheme": "http"}
    folder = ROOT / "ansible/roles/nginx/templates"
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True)
    environment.filters["bool"] = bool
    for name in ("values.conf", "page-timeout.conf", "trusted-proxies.conf"):
        made = environment.from_string((folder / f"{name}.j2").read_text()).render(variables)
        assert settings(made) == settings((ROOT / "compose/nginx/generated" / name).read_text())


def settings(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]
