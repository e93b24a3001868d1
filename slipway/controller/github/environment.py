"""An environment on GitHub, and what protects it: as much as the plan of the repository has."""

from dataclasses import dataclass

from slipway.controller.github import SetupError
from slipway.controller.github.forge import Gh

MAIN_ONLY = {"deployment_branch_policy": {"protected_branches": False, "custom_branch_policies": True}}


@dataclass(frozen=True)
class Environment:
    """What there is."""

    scope: str | None
    """Where its secrets go; None: to the repository, since the plan has no environments."""
    has_reviewers: bool
    words: str


def make_environment(gh: Gh, name: str, *, wants_reviewers: bool) -> Environment:
    """Make an environment, or leave one as it is that a person has made."""
    try:
        found = gh.api(f"environments/{name}")
        return _described(gh, name, found, "is there already and stays as it is: ")
    except SetupError:
        pass
    refused = ""
    user = gh.api("/user")
    reviewers = {"reviewers": [{"type": "User", "id": user["id"]}]} if wants_reviewers else {}
    for asked in ([MAIN_ONLY | reviewers] if reviewers else []) + [MAIN_ONLY, {}]:
        try:
            gh.api(f"environments/{name}", "PUT", asked)
            if "deployment_branch_policy" in asked:
                gh.api(f"environments/{name}/deployment-branch-policies", "POST", {"name": "main"})
            return _described(gh, name, gh.api(f"environments/{name}"), "is made: ", refused)
        except SetupError as error:
            refused = refused or str(error).splitlines()[-1]
    return Environment(
        None, False, f"there are no environments on this plan ({refused}): its secrets are the repository's"
    )


def _described(gh: Gh, name: str, found: dict[str, object], begin: str, refused: str = "") -> Environment:
    """Say what protects it. One that can hold no secret is none."""
    gh.api(f"environments/{name}/secrets/public-key")
    rules = found.get("protection_rules")
    has_reviewers = (
        any(rule.get("type") == "required_reviewers" for rule in rules) if isinstance(rules, list) else False
    )
    words = "deploys wait for an approval" if has_reviewers else "nobody has to approve a deploy"
    words += ", some branches only" if found.get("deployment_branch_policy") else ", any branch"
    return Environment(name, has_reviewers, begin + words + (f" (GitHub refused more: {refused})" if refused else ""))
