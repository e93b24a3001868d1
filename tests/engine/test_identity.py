"""What makes two releases the same."""

import pytest

from slipway.engine import identity
from tests.engine.fakes import FakeHost


def test_the_order_of_keys_changes_nothing() -> None:
    assert identity.digest({"a": 1, "b": 2}) == identity.digest({"b": 2, "a": 1})
    assert identity.digest({"a": 1}) != identity.digest({"a": 2})


@pytest.mark.parametrize(
    "name",
    [
        "app@.service",
        "app@.socket",
        "migrate@.service",
        "app@.service.d/30-settings.conf",
        "app@.socket.d/50-site.conf",
        "migrate@.service.d/50-site.conf",
    ],
)
def test_each_file_of_the_units_counts(host: FakeHost, name: str) -> None:
    file = host.units / name
    file.parent.mkdir(exist_ok=True)
    hashes = {identity.units_hash(host.units)}
    for text in ("[Service]\nNice=1\n", "[Service]\nNice=2\n"):
        file.write_text(text)
        hashes.add(identity.units_hash(host.units))
    assert len(hashes) == 3


def test_other_units_do_not_count(host: FakeHost) -> None:
    before = identity.units_hash(host.units)
    (host.units / "nginx.service").write_text("[Service]\n")
    (host.units / "app@.service.d").mkdir()
    (host.units / "app@.service.d/notes.txt").write_text("x")
    assert identity.units_hash(host.units) == before


def test_the_same_text_in_another_file_is_another_identity(host: FakeHost) -> None:
    def having(name: str) -> str:
        file = host.units / name
        file.write_text("[Service]\n")
        try:
            return identity.units_hash(host.units)
        finally:
            file.unlink()

    assert having("app@.socket") != having("migrate@.service")


def test_a_host_without_secrets_has_an_empty_hash(host: FakeHost) -> None:
    assert identity.secrets_hash(host.secrets_hash) == "abc"
    host.secrets_hash.unlink()
    assert identity.secrets_hash(host.secrets_hash) == ""
