"""Verbs of other tools, and what does the same here."""

from typing import Any

import typer.core

from slipway.model.errors import UsageError

INVENTORY = "deploy/ENVIRONMENT/group_vars/all.yml, then type: slipway provision ENVIRONMENT"
OF_OTHER_TOOLS = {
    **dict.fromkeys(("ssh", "console", "bash"), "slipway shell ENVIRONMENT"),
    "exec": "slipway run ENVIRONMENT -- COMMAND",
    **dict.fromkeys(("ps", "releases", "list", "info"), "slipway status ENVIRONMENT"),
    **dict.fromkeys(("build", "push", "release", "redeploy"), "slipway deploy ENVIRONMENT"),
    **dict.fromkeys(("setup", "launch"), "slipway init, then: slipway provision ENVIRONMENT"),
    **dict.fromkeys(("start", "dev"), "slipway up"),
    **dict.fromkeys(("stop", "destroy", "remove"), "slipway down (the host of `slipway up`)"),
    **dict.fromkeys(("env", "config"), "deploy/ENVIRONMENT/settings.env, then type: slipway deploy ENVIRONMENT"),
    **dict.fromkeys(
        ("secret", "secrets"),
        "ansible-vault edit deploy/ENVIRONMENT/secrets.yml, then: slipway provision ENVIRONMENT -- --ask-vault-pass",
    ),
}
"""What does here what a verb of other tools does."""


class Verbs(typer.core.TyperGroup):
    """The verbs, and the way from those of other tools."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the verb.

        Raises:
            UsageError: it is one of another tool.
        """
        if args and args[0] not in self.commands and args[0] in OF_OTHER_TOOLS:
            raise UsageError(f"No such command '{args[0]}'. For that: {OF_OTHER_TOOLS[args[0]]}")
        return super().resolve_command(ctx, args)
