"""Who could log in by a password alone: passwords over SSH go only where nobody could."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def login_keys(library: Callable[[str], ModuleType]) -> ModuleType:
    return library("login_keys")


def test_who_has_a_password(login_keys: ModuleType) -> None:
    shadow = (
        "root:*:1:::::\nadmin:$y$hash:1:::::\nlocked:!$y$hash:1:::::\nnew:!:1:::::\nempty::1:::::\nold:abc:1:::::\n"
    )
    assert login_keys.passwords(shadow) == {"admin", "old"}


def test_where_keys_are_looked_for(login_keys: ModuleType) -> None:
    settings = "port 22\nauthorizedkeysfile .ssh/authorized_keys /etc/ssh/keys/%u %h/more 100%%\n"
    assert login_keys.key_files(settings, "admin", "/home/admin") == [
        Path("/home/admin/.ssh/authorized_keys"),
        Path("/etc/ssh/keys/admin"),
        Path("/home/admin/more"),
        Path("/home/admin/100%"),
    ]
    assert login_keys.key_files("authorizedkeysfile none\n", "admin", "/home/admin") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [("", False), ("# ssh-ed25519 AAAA\n\n", False), ("ssh-ed25519 AAAA me\n", True), ("# one\nssh-rsa AAAA\n", True)],
)
def test_a_file_without_a_key_is_none(login_keys: ModuleType, tmp_path: Path, text: str, found: bool) -> None:
    (tmp_path / "keys").write_text(text)
    assert login_keys.has_key("", [tmp_path / "keys", tmp_path / "missing"]) is found


@pytest.mark.parametrize(
    "setting", ["authorizedkeyscommand /usr/bin/sss_ssh_authorizedkeys", "trustedusercakeys /etc/ssh/ca"]
)
def test_keys_may_come_from_elsewhere(login_keys: ModuleType, setting: str) -> None:
    assert login_keys.has_key(f"{setting}\n", [])
