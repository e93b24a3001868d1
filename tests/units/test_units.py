"""The units of a site follow from its variables."""

import re

import pytest

from slipway.engine.systemd import NAMESPACE
from slipway.units import Process, Site, render
from tests.units.golden import GOLDEN, read_systemd, show
from tests.units.sites import SITES

SYSTEMD = read_systemd()


@pytest.mark.parametrize("name", SITES)
def test_the_units_of_a_site(name: str) -> None:
    units = render(Site.parse(SITES[name]), SYSTEMD)
    assert show(units.files, SYSTEMD) == (GOLDEN / f"{name}.txt").read_text(), (
        "if the change is meant, python -m tests.units.golden writes what is expected anew: read its diff"
    )


@pytest.mark.parametrize("name", SITES)
def test_each_file_is_a_unit_or_a_drop_in_of_one(name: str) -> None:
    units = render(Site.parse(SITES[name]), SYSTEMD)
    assert {path for path in units.files if "/" not in path} == set(units.names)
    # systemd brings these two itself, for LogNamespace=.
    journal = {f"systemd-journald@{NAMESPACE}.service.d", f"systemd-journald@{NAMESPACE}.socket.d"}
    journal |= {f"systemd-journald-varlink@{NAMESPACE}.socket.d"}
    assert {f"{unit}.d" for unit in units.names} | journal >= set(units.folders) >= journal


def test_the_engine_reads_the_journal_that_the_app_writes() -> None:
    assert f"\nLogNamespace={NAMESPACE}\n" in SYSTEMD["sandbox.conf"]


def test_processes_of_what_runs_to_an_end_are_private_where_systemd_can_do_so() -> None:
    for private in (False, True):
        files = render(Site.parse(SITES["data-local"] | {"private_processes": private}), SYSTEMD).files
        of = {path.partition("@")[0] for path, text in files.items() if text == SYSTEMD["processes.conf"]}
        assert of == ({"migrate", "run", "job-tick"} if private else set())


def test_every_file_of_systemd_has_a_site_that_uses_it_or_another_role() -> None:
    used = {text for site in SITES.values() for text in render(Site.parse(site), SYSTEMD).files.values()}
    others = {"drift.service", "drift.timer", "nginx.service.d.conf", "tmpfiles.conf"}
    others |= {"alerts.service", "alerts.timer", "alerts-failure.conf", "alerts-no-failure.conf", "alerts-app.conf"}
    others |= {"backup-wal.conf", "sysstat-collect.conf", "exporter.conf", "metrics.service", "metrics.timer"}
    others |= {"nginx-logs.service", "nginx-logs.timer", "firewall.service"}
    others |= {"nginx-acme@.service", "nginx-acme.timer", "nginx-acme-install.service"}
    others |= {f"{firewall}.service.d.conf" for firewall in ("nftables", "netfilter-persistent")}
    assert {name for name, text in SYSTEMD.items() if text not in used} == others


def test_name_resolution_is_enabled_where_the_app_reaches_something() -> None:
    for egress in ("none", "host", "networks", "internet"):
        enabled = render(Site.parse({"egress": egress}), SYSTEMD).enabled
        assert enabled["recover.service"]
        assert enabled["name-resolution.path"] == enabled["name-resolution.service"] == (egress != "none")


def test_timers_run_on_one_host() -> None:
    jobs = {"jobs": [{"name": "a", "command": "x", "schedule": "daily"}]}
    assert render(Site.parse(jobs), SYSTEMD).timers == {"job-a.timer": True}
    assert render(Site.parse(jobs | {"runs_singletons": False}), SYSTEMD).timers == {"job-a.timer": False}


def test_deploy_may_start_whole_names_only() -> None:
    units = render(Site.parse(SITES["data-local"]), SYSTEMD)
    assert units.deployable == [
        *("app", "deploy", "journal-sync", "migrate", "proxy", "run", "scale"),
        *("seal", "remove", "command", "point-live", "point-canary"),
        *("app-worker.1", "app-worker.2", "app-beat.1", "app-Mail_1.1", "job-tick"),
    ]
    assert all(f"{name}@.service" in units.files for name in units.deployable)


def test_deploy_may_start_a_backup_only_where_its_unit_is() -> None:
    # A whole name without a template behind it could become any unit.
    for name, site in SITES.items():
        units = render(Site.parse(site), SYSTEMD)
        assert ("backup" in units.deployable) == ("backup@.service" in units.files) == (name == "data-local-tcp")
        assert ("backup.timer" in units.timers) == (name == "data-local-tcp")


def test_backups_run_on_each_host() -> None:
    site = SITES["data-local-tcp"] | {"runs_singletons": False}
    timers = {"backup.timer": True, "restore-test.timer": True}
    assert render(Site.parse(site | {"backup_wal": False}), SYSTEMD).timers == timers
    wal = {"backup-wal.path": True, "backup-wal.timer": True}
    assert render(Site.parse(site), SYSTEMD).timers == timers | wal


@pytest.mark.parametrize(
    ("line", "about"),
    [
        ("/etc/slipway/systemd/app@.service:3: Unknown key", True),
        ("app-worker.1@i.service: Command /x is not executable", True),
        ("job-tick.timer: Timer unit lacks value setting", True),
        ("/lib/systemd/system/plymouth-start.service:18: Unit uses KillMode=none", False),
        ("my-app@.service: something of the site's own", False),
    ],
)
def test_messages_about_these_units(line: str, about: bool) -> None:
    pattern = render(Site.parse(SITES["data-local"]), SYSTEMD).message_pattern
    assert bool(re.search(pattern, line)) == about


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(ValueError, match="Process has no number; it has connections, count"):
        Process.parse({"name": "worker", "number": 2})
    with pytest.raises(ValueError, match="Site has no egres"):
        Site.parse({"egres": "none"})


def test_a_left_out_value_is_the_default() -> None:
    # As Ansible passes an option that was not given.
    assert Process.parse({"name": "w", "count": None, "memory_max": None}) == Process("w")


@pytest.mark.parametrize(
    ("values", "loopback"),
    [
        ({"egress": "none"}, ""),
        ({"egress": "host"}, "127.0.0.0/8"),
        ({"egress": "internet"}, "127.0.0.0/8"),
        ({"egress": "networks", "egress_networks": ["10.0.0.0/8"], "resolvers": ["127.0.0.1", "::1"]}, "127.0.0.1"),
        ({"egress": "networks", "egress_networks": ["10.0.0.0/8"], "resolvers": ["192.0.2.53"]}, ""),
    ],
)
def test_the_hosts_loopback_is_the_apps_only_where_it_may_reach_it(values: dict[str, object], loopback: str) -> None:
    lines = render(Site.parse(values), SYSTEMD).files["network@.service.d/20-egress.conf"].splitlines()
    assert f'Environment="LOOPBACK={loopback}"' in lines
    assert f"Environment=EGRESS={values['egress']}" in lines


def test_folders_of_app_writable_are_bound_from_outside_of_the_apps_state() -> None:
    site = {"writable": ["/app/data", "/srv/x/uploads"]}
    text = render(Site.parse(site), SYSTEMD).files["app@.service.d/35-writable.conf"]
    asserted = re.findall(r"AssertPathIsSymbolicLink=!/srv/app/sealed/%i(.*)", text)
    assert asserted == ["/app", "/app/data", "/srv", "/srv/x", "/srv/x/uploads"]
    assert "BindPaths=/var/lib/app-writable/app/data:/app/data\nNoExecPaths=+/app/data\n" in text
    assert "35-writable" not in "".join(render(Site.parse({}), SYSTEMD).files)


def test_migrations_of_another_user_see_none_of_the_apps_writable_files() -> None:
    site = {"writable": ["/app/data"], "data": {"local": True, "broker": False, "connections": 4}}
    files = render(Site.parse(site), SYSTEMD).files
    assert "BindPaths=/var" not in files["migrate@.service.d/35-writable.conf"]
    assert "TemporaryFileSystem=/app/data" in files["migrate@.service.d/35-writable.conf"]
    assert "BindPaths=/var" in files["app@.service.d/35-writable.conf"]


@pytest.mark.parametrize(
    ("site", "app", "worker"),
    [
        ({}, ("512M", "infinity", "256M"), ("1G", "infinity", "512M")),
        ({"memory_high": "400M", "swap_max": 0}, ("512M", "400M", "0"), ("1G", "infinity", "512M")),
        ({"memory_max": "infinity"}, ("infinity", "infinity", "infinity"), ("1G", "infinity", "512M")),
        ({"memory_max": "1G", "memory_high": "900M"}, ("1G", "900M", "512M"), ("1G", "900M", "512M")),
    ],
)
def test_every_service_of_a_release_is_bounded_before_it_takes_the_hosts_memory_and_swap(
    site: dict[str, object], app: tuple[str, ...], worker: tuple[str, ...]
) -> None:
    site = {"processes": [{"name": "worker", "memory_max": "1G"}], **site}
    files = render(Site.parse(site), SYSTEMD).files
    found = {
        path.partition("@")[0]: tuple(re.findall(r"^Memory(?:Max|High|SwapMax)=(.*)$", text, re.MULTILINE))
        for path, text in files.items()
        if path.endswith("30-settings.conf") and not path.startswith("proxy@")
    }
    assert found == {"app": app, "migrate": app, "run": app, "app-worker.1": worker}
