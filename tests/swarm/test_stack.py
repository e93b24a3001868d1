"""swarm/ without a swarm: what belongs together, and that no task may more than it must."""

import re
from typing import Any

import pytest
import yaml

from slipway.units.layout import STOP_MARGIN
from slipway.units.site import Site
from tools.checkout import ROOT

FILES = ("migrate", "stack", "queue")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
KUBERNETES = ROOT / "kubernetes/base"
POSTGRES_CONNECTIONS = 97
"""Of PostgreSQL's 100, without those that are reserved."""
OTHER_CONNECTIONS = 3
"""The worker's, as many as it may run tasks, and the migration's."""

Services = dict[str, dict[str, Any]]


def load(name: str) -> dict[str, Any]:
    """Read a file of swarm/."""
    return dict(yaml.safe_load((ROOT / f"swarm/{name}.yaml").read_text()))


SERVICES: Services = {name: service for file in FILES for name, service in load(file)["services"].items()}
OF_THE_APP = ("app", "worker", "beat", "migrate")


def seconds(text: str) -> int:
    return int(re.fullmatch(r"(\d+)s", text)[1])  # type: ignore[index]


def kubernetes_env(file: str) -> dict[str, str]:
    """Return the variables of a container of kubernetes/base."""
    for one in yaml.safe_load_all((KUBERNETES / file).read_text()):
        if one["kind"] == "Deployment":
            return {
                each["name"]: each.get("value", "") for each in one["spec"]["template"]["spec"]["containers"][0]["env"]
            }
    raise KeyError(file)


def test_each_service_is_in_one_file() -> None:
    assert {file: set(load(file)["services"]) for file in FILES} == {
        "migrate": {"migrate"},
        "stack": {"app", "nginx"},
        "queue": {"worker", "beat"},
    }


@pytest.mark.parametrize("name", SERVICES)
def test_no_task_may_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert "privileged" not in service
    assert "user" not in service  # the image's own, which is not root


@pytest.mark.parametrize("name", OF_THE_APP)
def test_a_forgotten_image_is_an_error(name: str) -> None:
    assert SERVICES[name]["image"].startswith("${APP_IMAGE:?")
    assert SERVICES["nginx"]["image"].startswith("${NGINX_IMAGE:?")


def test_secrets_are_files_and_only_the_migration_has_the_owners() -> None:
    for name in ("app", "worker", "beat"):
        assert SERVICES[name]["secrets"] == ["database_url", "broker_url"]
    assert SERVICES["migrate"]["secrets"] == [{"source": "database_url_owner", "target": "database_url"}]
    assert "secrets" not in SERVICES["nginx"]
    for name in OF_THE_APP:
        environment = SERVICES[name]["environment"]
        assert environment["CREDENTIALS_DIRECTORY"] == "/run/secrets"
        assert not {variable for variable in environment if variable.endswith("_URL")}
    for file in FILES:
        assert all(secret["external"] for secret in load(file)["secrets"].values())


def test_all_timeouts_follow_from_the_one_of_a_request() -> None:
    app = SERVICES["app"]
    (timeout,) = {int(number) for number in re.findall(r"timeout (\d+)", app["environment"]["GUNICORN_CMD_ARGS"])}
    assert timeout == Site.__dataclass_fields__["request_timeout"].default
    assert seconds(app["stop_grace_period"]) == timeout + STOP_MARGIN
    assert app["environment"]["GUNICORN_CMD_ARGS"] in kubernetes_env("web.yaml")["GUNICORN_CMD_ARGS"]


def test_the_app_is_told_of_all_replicas_and_postgres_has_room_for_them() -> None:
    shared = kubernetes_env("pod.yaml")
    for name in OF_THE_APP:
        assert SERVICES[name]["environment"]["REPLICAS"] == shared["REPLICAS"]
    app = SERVICES["app"]
    replicas, connections = (int(app["environment"][name]) for name in ("REPLICAS", "DATABASE_CONNECTIONS"))
    assert app["environment"]["DATABASE_CONNECTIONS"] == shared["DATABASE_CONNECTIONS"]
    assert 1 < app["deploy"]["replicas"] <= replicas
    assert 2 * replicas * connections + OTHER_CONNECTIONS <= POSTGRES_CONNECTIONS


def test_a_task_is_replaced_after_its_successor_is_ready_and_a_bad_one_rolled_back() -> None:
    deploy = SERVICES["app"]["deploy"]
    assert deploy["endpoint_mode"] == "dnsrr"
    update, rollback = deploy["update_config"], deploy["rollback_config"]
    assert (update["order"], rollback["order"]) == ("start-first", "start-first")
    assert (update["parallelism"], rollback["parallelism"]) == (1, 1)
    assert (update["failure_action"], rollback["failure_action"]) == ("rollback", "pause")
    # The updater forgets a failure that it hears of later than that.
    assert 0 < seconds(update["delay"]) < seconds(update["monitor"])
    assert "test" not in SERVICES["app"]["healthcheck"]  # the image's own


def test_worker_and_beat_are_one_at_a_time_and_run_the_procfiles_lines() -> None:
    procfile = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    for name in ("worker", "beat"):
        service = SERVICES[name]
        assert (service["deploy"]["replicas"], service["deploy"]["update_config"]["order"]) == (1, "stop-first")
        assert "exec " + " ".join(service["command"]) == procfile[name]
        assert service["healthcheck"]["test"] == COMPOSE[name]["healthcheck"]["test"]
    assert " ".join(SERVICES["migrate"]["command"]) == procfile["release"]
    assert "command" not in SERVICES["app"]


def test_a_migration_that_fails_is_not_repeated() -> None:
    deploy = SERVICES["migrate"]["deploy"]
    assert (deploy["mode"], deploy["restart_policy"]) == ("replicated-job", {"condition": "none"})


def test_nginx_finds_the_app_by_the_name_and_has_the_rights_of_compose() -> None:
    upstream = (ROOT / "compose/nginx/upstream.conf").read_text()
    (name,) = re.findall(r"default (\w+):8000;", upstream)
    assert set(SERVICES[name]["networks"]) & set(SERVICES["nginx"]["networks"]) == {"web"}
    assert SERVICES["nginx"]["sysctls"] == COMPOSE["nginx"]["sysctls"]
    # The engine takes away a task's address two seconds before it stops the task.
    assert "valid=1s" in upstream


def test_only_nginx_is_on_a_network_that_leads_out_and_has_a_port() -> None:
    networks = load("stack")["networks"]
    assert networks["web"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if "edge" in service["networks"]} == {"nginx"}
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"nginx"}
    for name in ("worker", "beat", "migrate"):
        assert SERVICES[name]["networks"] == ["data"]
    for file in FILES:
        assert load(file)["networks"]["data"] == {"external": True, "name": "app-data"}
