"""What .github/workflows/ need of a repository: its secrets, variables and environments; see tools/github."""


class SetupError(Exception):
    """Something is missing or wrong, in words that say what to type next."""
