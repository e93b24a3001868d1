"""The app on a real swarm, under load. The tests run in this order: each begins with what the one before has left."""

import json

import pytest

from labs.command import ROOT
from tests.platforms import images
from tests.platforms.traffic import RATE
from tests.platforms.waiting import within
from tests.swarm.swarm import Swarm


@pytest.fixture(autouse=True)
def settled(swarm: Swarm) -> None:
    """Wait for two tasks of one release, and for none that is still ending."""
    swarm.settle()


def test_a_task_has_a_worker_per_cpu_of_its_limit_and_names_its_release(swarm: Swarm) -> None:
    version = swarm.ask("/version")
    assert {version["release"]} == swarm.releases()
    assert version["workers"] == 1
    assert "1 workers: 1 CPUs (affinity" in swarm.logs("site_app")


def test_the_queue_works(swarm: Swarm) -> None:
    slug = swarm.ask("/links", {"url": "https://example.org/"})["slug"]
    swarm.ask(f"/links/{slug}/qr", {})
    within(60, lambda: status(swarm, f"/links/{slug}/qr.png") == 200)
    within(90, lambda: swarm.ask("/days"))


def status(swarm: Swarm, path: str) -> int:
    done = swarm.engine.run("curl", "--max-time", "10", "-so", "/dev/null", "-w", "%{http_code}", swarm.url + path)
    return int(done.stdout)


@pytest.mark.parametrize("service", ["app", "worker", "beat", "nginx"])
def test_a_task_can_do_little(swarm: Swarm, service: str) -> None:
    look = (
        "id -u; touch /x 2>/dev/null && echo writable; env | grep for-tests; ls /run/secrets 2>/dev/null;"
        "grep -E '^(CapEff|CapBnd|Seccomp):' /proc/self/status | tr -d '\\t'"
    )
    container = swarm.container(service)
    shown = swarm.engine.docker("exec", container, "sh", "-c", look).split()
    user, secrets = ("33", set()) if service == "nginx" else ("10001", {"database_url", "broker_url"})
    assert set(shown) == {user, "CapEff:0000000000000000", "CapBnd:0000000000000000", "Seccomp:2"} | secrets
    (described,) = json.loads(swarm.engine.docker("inspect", container))
    assert "for-tests" not in json.dumps(described)
    limits = described["HostConfig"]
    assert all(limits[name] > 0 for name in ("Memory", "NanoCpus", "PidsLimit"))


def test_only_nginx_is_on_a_network_that_leads_out(swarm: Swarm) -> None:
    for service in ("app", "worker", "beat", "nginx"):
        networks = swarm.engine.docker(
            "inspect",
            swarm.container(service),
            "--format={{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}",
        ).split()
        described = json.loads(swarm.engine.docker("network", "inspect", *networks))
        out = {one["Name"] for one in described if not one["Internal"]}
        assert out == ({"site_edge"} if service == "nginx" else set())


def test_nginx_has_the_files_of_a_host(swarm: Swarm) -> None:
    """All of nginx/ but the upstream, which is that of Compose."""
    container = swarm.container("nginx")
    for path in (ROOT / "nginx").rglob("*.conf"):
        name = str(path.relative_to(ROOT / "nginx"))
        inside = "/etc/nginx/nginx.conf" if name == "nginx.conf" else f"/etc/nginx/slipway/{name}"
        file = ROOT / "compose/nginx/upstream.conf" if name == "upstream.conf" else path
        assert swarm.engine.docker("exec", container, "cat", inside) == file.read_text()


def test_an_update_fails_no_request(swarm: Swarm) -> None:
    with swarm.traffic("update") as summary:
        assert swarm.deploy("second").returncode == 0
    assert summary["failures"] == 0
    assert swarm.update().state == "completed"
    assert swarm.releases() == {images.release("second")}


@pytest.mark.parametrize("release", ["import-fails", "never-ready"])
def test_a_bad_release_gets_no_request_and_is_rolled_back(swarm: Swarm, release: str) -> None:
    worker = set(swarm.tasks("worker"))
    with swarm.traffic(release) as summary:
        done = swarm.deploy(release)
        update = swarm.update()
    assert done.returncode == 1
    assert (update.state, update.image) == ("rollback_completed", images.release("second"))
    assert summary["failures"] == 0
    assert swarm.releases() == {images.release("second")}
    assert set(swarm.tasks("worker")) == worker


def test_a_migration_that_fails_stops_the_deploy(swarm: Swarm) -> None:
    tasks = set(swarm.tasks())
    with swarm.traffic("migration") as summary:
        done = swarm.deploy("migration-fails")
    assert done.returncode == 1
    assert 'relation "no_such_table" does not exist' in swarm.logs("site-migrate_migrate")
    assert summary["failures"] == 0
    assert set(swarm.tasks()) == tasks


def test_a_release_that_answers_500_is_not_noticed(swarm: Swarm) -> None:
    with swarm.traffic("answers-500") as summary:
        assert swarm.deploy("answers-500").returncode == 0
    assert swarm.update().state == "completed"
    assert summary["failures"] > 0
    assert failed(swarm, "answers-500") == {("/version", 500)}


def failed(swarm: Swarm, name: str) -> set[tuple[str, int]]:
    """Return the routes and statuses of a load's failed requests."""
    lines = (swarm.folder / "load" / name / "failures.jsonl").read_text().splitlines()
    return {(failure["r"], failure["s"]) for failure in map(json.loads, lines)}


def test_a_rollback_fails_no_other_request(swarm: Swarm) -> None:
    with swarm.traffic("rollback"):
        assert swarm.deploy("first").returncode == 0
    assert swarm.releases() == {images.release("first")}
    # The release before answers so, until its last task has ended.
    assert failed(swarm, "rollback") == {("/version", 500)}


def test_more_and_fewer_tasks_fail_no_request(swarm: Swarm) -> None:
    with swarm.traffic("scale") as summary:
        swarm.engine.docker("service", "scale", "site_app=6")
        assert len(swarm.tasks()) == 6
        swarm.engine.docker("service", "scale", "site_app=2")
        swarm.settle()
    assert summary["failures"] == 0


def test_a_task_that_is_killed_fails_only_requests_in_progress(swarm: Swarm) -> None:
    gone, task = next(iter(swarm.tasks().items()))
    with swarm.traffic("kill") as summary:
        swarm.engine.docker("kill", task["Status"]["ContainerStatus"]["ContainerID"])
        within(60, lambda: gone not in swarm.tasks() and len(swarm.tasks()) == 2)
    assert summary["failures"] < RATE / 10
    # nginx repeats the others.
    assert {failure["m"] for failure in summary["failed"]} <= {"POST"}


def test_an_outage_of_the_database_restarts_no_task(swarm: Swarm) -> None:
    tasks, container = set(swarm.tasks()), swarm.container()
    (database,) = swarm.engine.containers("label=com.docker.swarm.service.name=data_postgres", "status=running")
    swarm.engine.docker("pause", database)
    try:
        # Before the database's own check fails for the third time, after 30 seconds.
        within(25, lambda: failed_checks(swarm, container) > 0)
    finally:
        swarm.engine.docker("unpause", database)
    within(30, lambda: failed_checks(swarm, container) == 0)
    assert set(swarm.tasks()) == tasks


def failed_checks(swarm: Swarm, container: str) -> int:
    return int(swarm.engine.docker("inspect", container, "--format={{.State.Health.FailingStreak}}"))


def test_nginx_is_updated_with_a_gap(swarm: Swarm) -> None:
    with swarm.traffic("nginx") as summary:
        swarm.engine.docker("service", "update", "--force", "site_nginx")
    assert 0 < summary["failures"] < 10 * RATE
