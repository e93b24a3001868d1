"""The action that gets the states of several units."""

from collections.abc import Callable
from types import ModuleType

import pytest

SHOWN = """ActiveState=active
UnitFileState=enabled
NeedDaemonReload=no
Listen=[::]:80 (Stream)
Listen=0.0.0.0:80 (Stream)

ActiveState=inactive
UnitFileState=
NeedDaemonReload=yes
"""


@pytest.fixture
def module(action: Callable[[str], ModuleType]) -> ModuleType:
    return action("unit_states")


def test_each_unit_has_its_own_state(module: ModuleType) -> None:
    states = module.parse(SHOWN, ["nginx.socket", "nowhere.service"])
    assert states["nginx.socket"] == {
        "active": True,
        "enabled": True,
        "needs_reload": False,
        "listen": ["0.0.0.0:80", "[::]:80"],
    }
    assert states["nowhere.service"] == {"active": False, "enabled": False, "needs_reload": True, "listen": []}


@pytest.mark.parametrize("state", ["activating", "deactivating", "failed", "inactive"])
def test_only_active_is_active(module: ModuleType, state: str) -> None:
    assert not module.parse(f"ActiveState={state}\n", ["a.service"])["a.service"]["active"]


@pytest.mark.parametrize("state", ["enabled-runtime", "disabled", "static", "linked", "masked", ""])
def test_only_enabled_is_enabled(module: ModuleType, state: str) -> None:
    assert not module.parse(f"UnitFileState={state}\n", ["a.service"])["a.service"]["enabled"]


@pytest.mark.parametrize("units", [["a.service"], ["a.service", "b.service", "c.service"]])
def test_a_state_is_never_given_to_another_unit(module: ModuleType, units: list[str]) -> None:
    with pytest.raises(ValueError, match="returned 2 blocks for"):
        module.parse(SHOWN, units)
