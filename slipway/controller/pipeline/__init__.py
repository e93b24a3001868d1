"""The steps of the workflows: `slipway pipeline STEP`. On a laptop they run as well, without what GitHub gives them."""

from slipway.model.errors import SlipwayError


class PipelineError(SlipwayError):
    """A step cannot be done, or was not; the message says why and what to type."""
