"""Filters: the environment of a unit whose data are on another host (slipway.units)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from slipway.units.data import Access, Names, environment, environment_file


def data_variables(names: Mapping[str, Any], **access: Any) -> dict[str, str]:
    """Return the variables of a unit. `names`: as the role app has them; `access`: of one user.

    Raises:
        AnsibleFilterError: a form that cannot be filled in.
    """
    try:
        return environment(Access(**access), Names(**names))
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """What Ansible asks a file of filters for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        return {"data_variables": data_variables, "environment_file": environment_file}
