"""The error of an image that cannot be deployed."""

from slipway.model.errors import SlipwayError


class ImageError(SlipwayError):
    """The message names the image, the rule that it breaks and what to change."""

    def __init__(self, message: str, line: str | None = None) -> None:
        """`line` names the line of the contract that is broken; None: the image could not be examined."""
        super().__init__(message)
        self.line = line
