"""Setting an environment up on GitHub: keys are made, the hosts' own are read, secrets and variables are set by `gh`.

Where gh is not installed and logged in, what to paste and where is printed. What is there stays. Nothing is changed
before all prerequisites were found.

| where                    | secret                          | variable                                     |
|--------------------------|---------------------------------|----------------------------------------------|
| the environment          | SLIPWAY_SSH_KEY                 | SLIPWAY_KNOWN_HOSTS, SLIPWAY_URL             |
| the repository           | SLIPWAY_STATUS_KEY_<ENV>        | SLIPWAY_KNOWN_HOSTS_<ENV>                    |
|                          | COSIGN_PRIVATE_KEY, COSIGN_PASSWORD | COSIGN_PUBLIC_KEY, SLIPWAY_PRODUCTION    |

A private repository on a free plan has no environments: theirs then go to the repository, with _<ENV> behind the name.
"""

import os
import sys
from pathlib import Path

from slipway.controller.github import SetupError
from slipway.controller.github.environment import make_environment
from slipway.controller.github.forge import Forge, Gh, Paste, find_repository, has_gh
from slipway.controller.github.hosts import read_inventory, url
from slipway.controller.github.keys import cosign_pair, ssh_pair
from slipway.controller.project import Project


def set_up(project: Project, environment: str, *, rotate: bool) -> int:
    """Find what is needed, then set it.

    Raises:
        SetupError: something is missing or refused.
    """
    repository = find_repository(project.root)
    hosts = read_inventory(project.inventories, environment)
    known_hosts = "".join(f"{line}\n" for line in dict.fromkeys(line for host in hosts for line in host.known_hosts()))
    behind = list(dict.fromkeys(jump for host in hosts for jump in host.jump_hosts))
    suffix = f"_{environment.upper().replace('-', '_')}"
    forge: Forge
    scope: str | None = environment
    if has_gh():
        forge = gh = Gh(repository)
        if not gh.api("").get("permissions", {}).get("admin"):
            raise SetupError(f"gh may not administer {repository}: log in as somebody who may (gh auth login)")
        print(f"{repository}: the environment {environment}")
        made = make_environment(gh, environment, wants_reviewers=environment == "production")
        print(f"  it {made.words}")
        scope = made.scope
        if environment == "production":
            gate = "reviewers" if made.has_reviewers else "by-hand"
            if forge.variable("SLIPWAY_PRODUCTION", None) == "automatic":
                gate = "automatic"  # a person's decision, which the workflow knows as well
            forge.set_variable("SLIPWAY_PRODUCTION", gate, None)
            if gate == "by-hand":
                print("  production is deployed by hand, with the digest on staging (docs/reference/pipeline.md)")
    else:
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
        forge = Paste(state / "slipway" / repository, repository)
        print("gh is not installed and logged in (https://cli.github.com, gh auth login), so paste this:")
    own = "" if scope else suffix

    def public_key(name: str, purpose: str, where: str | None, listed: list[str]) -> str:
        """The public half of a key of that name; a new pair if there is none yet."""
        comment = f"github-{purpose}{environment}@{repository}"
        public = forge.variable(f"{name}_PUBLIC", where) or next(
            (key for key in listed if key.endswith(f" {comment}")), None
        )
        if public and not rotate and (forge.has_secret(name, where) or not forge.remembers):
            return public
        pair = ssh_pair(comment)
        forge.set_secret(name, pair.private, where)
        forge.set_variable(f"{name}_PUBLIC", pair.public, where)
        return pair.public

    values = hosts[0].values
    wanted = {
        "host_deploy_keys": public_key(f"SLIPWAY_SSH_KEY{own}", "", scope, values.get("host_deploy_keys", [])),
        "host_status_keys": public_key(
            f"SLIPWAY_STATUS_KEY{suffix}", "status-", None, values.get("host_status_keys", [])
        ),
    }
    forge.set_variable(f"SLIPWAY_KNOWN_HOSTS{own}", known_hosts, scope)
    forge.set_variable(f"SLIPWAY_KNOWN_HOSTS{suffix}", known_hosts, None)
    forge.set_variable(f"SLIPWAY_URL{own}", url(hosts[0]), scope)
    listed = all(key in values.get(name, []) for name, key in wanted.items())
    # Pasted by an earlier run, whose files are gone: what signs was, too.
    lacking = "" if listed and isinstance(forge, Paste) and forge.is_new else sign(forge, project)
    if isinstance(forge, Paste):
        print(forge.advice())
    tell(project, environment, {name: key for name, key in wanted.items() if key not in values.get(name, [])})
    if behind:
        print(f"\nBoth keys also have to be allowed on {', '.join(behind)}, for the jump alone, in authorized_keys:\n")
        print("\n".join(f"restrict,port-forwarding {key}" for key in wanted.values()))
    if lacking:
        print(f"error: {lacking}", file=sys.stderr)
    return 1 if lacking else 0


def sign(forge: Forge, project: Project) -> str:
    """Set the key that signs images. It is never replaced: images that it has signed would be refused.

    Returns the reason why there is no key; empty if there is one.
    """
    if forge.has_secret("COSIGN_PRIVATE_KEY", None) and forge.variable("COSIGN_PUBLIC_KEY", None):
        return ""
    try:
        pair = cosign_pair(project.root / "tools/go-tool")
    except SetupError as error:
        return str(error)
    forge.set_secret("COSIGN_PASSWORD", pair.password, None)
    forge.set_secret("COSIGN_PRIVATE_KEY", pair.private, None)
    forge.set_variable("COSIGN_PUBLIC_KEY", pair.public, None)
    return ""


def tell(project: Project, environment: str, missing: dict[str, str]) -> None:
    """Say what is left to do in the inventory."""
    if not missing:
        print("The hosts know the keys already, if they were provisioned since.")
        return
    file = (project.inventories / environment / "group_vars/all.yml").relative_to(project.root)
    print(f"Add to these lists in {file}, in place of a key that ends alike:\n")
    for name, key in missing.items():
        print(f"{name}:\n  - {key}")
    print(f"\nThen: slipway provision {environment}")
