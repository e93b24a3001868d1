"""The message of `slipway maintenance`, as laptops and hosts check it."""

from slipway.model.errors import UsageError

MAX_CHARACTERS = 500
MESSAGE = "This site is down for maintenance. Please try again in a few minutes."


def check(message: str) -> str:
    """Return the message as it may be shown.

    Raises:
        UsageError: it is empty, too long, or more than one line of text.
    """
    if not message.strip() or len(message) > MAX_CHARACTERS:
        raise UsageError(
            f"the message has {len(message)} characters: write 1 to {MAX_CHARACTERS}, as --message 'Back at 10:00 UTC'"
        )
    if not message.isprintable():
        shown = ascii(next(each for each in message if not each.isprintable()))
        raise UsageError(f"the message has the character {shown}: write one line of text without control characters")
    return message
