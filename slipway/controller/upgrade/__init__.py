"""Moving a project to the version of this Slipway: `slipway upgrade`."""

from slipway.model.errors import SlipwayError


class UpgradeError(SlipwayError):
    """The project cannot be moved; the message names the place, the rule and what to type."""
