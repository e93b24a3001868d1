"""The page's moves, by its own commands, while somebody writes: what was acknowledged is there afterwards.

The tests run in this order: the second begins with what the first has left.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labs.command import ROOT, progress
from tests.move.vm import NAME, Vm
from tests.move.writer import Writer
from tests.platforms.page import blocks
from tests.swarm.engine import Engine, find_client
from tests.swarm.swarm import SECRETS, Swarm

PAGE = ROOT / "docs/how-to/move.md"
PREPARE, SWITCH, BACK_TO_FILE = blocks(PAGE, "From the embedded database to PostgreSQL")
MOVE, BACK_TO_VM = blocks(PAGE, "From a VM to a cluster")
OFF = "slipway maintenance off production\n"
IMPORT = "slipway run production -- python -m app.import_sqlite"
ON_FILE, ON_POSTGRES = {"app_database": "embedded"}, {"app_database": None}
LINKS = "SELECT slug, url FROM links"
INSIDER_SECONDS = 600


def pairs(rows: str) -> set[tuple[str, ...]]:
    """Read lines of a slug and its URL."""
    return {tuple(row.split("|")) for row in rows.splitlines()}


def test_from_the_embedded_database_to_postgresql_and_back(vm: Vm) -> None:
    with Writer(vm.url) as writer:
        writer.wait_for_more()
        vm.write("hosts.yml", {"data": {"hosts": {NAME: None}}})
        vm.write("group_vars/all.yml", ON_FILE)
        vm.type(PREPARE)
        # PostgreSQL runs, and the app is still on its file.
        assert "DATABASE_URL is not set, so this release uses /var/lib/app/app.db" in vm.fails(IMPORT)
        writer.wait_for_more()
        assert set(writer.statuses) == {201, 307}

        # Somebody changes their mind before maintenance is off.
        began = time.monotonic()
        vm.write("group_vars/all.yml", ON_POSTGRES)
        vm.type(SWITCH.removesuffix(OFF))
        vm.write("group_vars/all.yml", ON_FILE)
        vm.type(BACK_TO_FILE)
        writer.wait_for_more()
        progress("move", f"writes refused there and back: {writer.longest_pause(began):.0f} s")

        began = time.monotonic()
        vm.write("group_vars/all.yml", ON_POSTGRES)
        vm.type(SWITCH)
        writer.wait_for_more()
        progress("move", f"writes refused: {writer.longest_pause(began):.0f} s")
        assert "was the import done before?" in vm.fails(IMPORT)
    assert set(writer.statuses) == {201, 307, 503}
    assert writer.acknowledged - pairs(vm.query(LINKS)) == set()
    assert vm.query(f"SELECT clicks FROM links WHERE slug = '{writer.first}'") == str(writer.followed)
    progress("move", f"{len(writer.links)} links and {writer.followed} visits acknowledged, none lost")


@pytest.fixture
def swarm(vm: Vm, tmp_path: Path) -> Iterator[Swarm]:
    """A swarm with its own database; the app is not deployed."""
    engine = Engine(tmp_path)
    (vm.folder / "bin/docker").symlink_to(find_client())
    try:
        engine.start()
        swarm = Swarm(engine, vm.folder)
        swarm.prepare()
        yield swarm
    finally:
        engine.remove()
    assert not engine.remains(), engine.remains()


def test_from_a_vm_to_a_swarm(vm: Vm, swarm: Swarm) -> None:
    def query(sql: str) -> str:
        (database,) = swarm.engine.containers("label=com.docker.swarm.service.name=data_postgres", "status=running")
        return swarm.engine.docker("exec", database, "psql", SECRETS["database_url_owner"], "-qAtc", sql).strip()

    vm.host.copy(Path(__file__).with_name("insider.py"), "/root/insider.py")
    vm.host.shell(
        "systemd-run --unit=insider --property=StandardOutput=file:/root/acknowledged --property=StandardError=journal "
        f"python3 /root/insider.py {INSIDER_SECONDS}"
    )
    with Writer(vm.url) as writer:
        writer.wait_for_more()
        url = vm.folder / "database_url_owner"
        url.write_text(SECRETS["database_url_owner"].replace("for-tests", "wrong"))
        assert "password authentication failed" in vm.fails(MOVE)
        assert query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0"
        vm.type(BACK_TO_VM)
        writer.wait_for_more()

        began = time.monotonic()
        url.write_text(SECRETS["database_url_owner"])
        vm.type(MOVE)
        moved, links = time.monotonic() - began, query(LINKS)
        assert "already exists" in vm.fails(MOVE)
        assert query(LINKS) == links
        assert swarm.deploy("first").returncode == 0
        writer.url = swarm.url
        writer.wait_for_more()
        progress(
            "move", f"writes refused: {writer.longest_pause(began):.0f} s, {moved:.0f} of it until the rows were there"
        )
    inside = pairs(vm.host.shell("cat /root/acknowledged"))
    assert (writer.acknowledged | inside) - pairs(query(LINKS)) == set()
    assert len(inside) > 100
    # Maintenance let these through, and PostgreSQL refused them.
    assert vm.host.shell("journalctl --unit=insider --output=cat | tail -n 1").startswith("HTTP Error 50")
    assert int(query(f"SELECT clicks FROM links WHERE slug = '{writer.first}'")) >= writer.followed
    progress("move", f"{len(writer.acknowledged | inside)} links and {writer.followed} visits acknowledged, none lost")
