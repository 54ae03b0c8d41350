"""What standard input holds. A process may have been given none at all (`<&-`), and bytes that are no text."""

import sys

from airdeck_cli.errors import USAGE, CliError


def is_typed() -> bool:
    """Whether a person types it."""
    return sys.stdin is not None and sys.stdin.isatty()


def text(*, first_line: bool = False) -> str:
    """All of it, or its first line. Raises CliError."""
    if sys.stdin is None:
        return ""
    try:
        found = sys.stdin.readline() if first_line else sys.stdin.read()
        found.encode()  # in some locales Python reads what is no text as halves of pairs
    except UnicodeError:
        raise CliError(
            "Standard input is not UTF-8 text. Encode it, for instance with base64.", USAGE
        ) from None
    return found


def data(most: int) -> bytes:
    """At most so many bytes of it."""
    return b"" if sys.stdin is None else sys.stdin.buffer.read(most)
