"""Text that people typed, where it stands among ours."""

import re

# Controls, and marks that turn the direction of what follows (Unicode, UAX 9).
_TURNS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


def one_line(text: str) -> str:
    """A person's text on one line and in its own direction, so that it is no sentence of ours and no header."""
    return " ".join(_TURNS.sub("", text).split())
