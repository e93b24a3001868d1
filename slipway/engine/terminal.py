"""Text for a terminal: what others wrote into records and logs must not command it."""


def printable(text: str) -> str:
    """Escape control characters, escape sequences and characters that change the direction of writing."""
    return "".join(each if each.isprintable() or each in "\n\t" else ascii(each)[1:-1] for each in text)
