"""Text that people typed, where it stands among ours."""

import re
from collections.abc import Mapping

# Controls, and marks that turn the direction of what follows (Unicode, UAX 9).
_TURNS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")

_HALVES = re.compile(r"[\ud800-\udfff]")


def one_line(text: str) -> str:
    """A person's text on one line and in its own direction, so that it is no sentence of ours and no header."""
    return " ".join(_TURNS.sub("", text).split())


class NotStorable(ValueError):
    """A text that neither Postgres nor UTF-8 takes: it holds a NUL character, or half a surrogate pair."""


def is_storable(text: str) -> bool:
    """Whether Postgres takes it. Half a surrogate pair comes out of the escapes of JSON and YAML."""
    return "\0" not in text and not _HALVES.search(text)


def refuse_unstorable(document: object) -> None:
    """Raises NotStorable when a text in a parsed document, keys included, cannot be stored."""
    left = [document]
    while left:
        each = left.pop()
        if isinstance(each, str) and not is_storable(each):
            raise NotStorable
        if isinstance(each, Mapping):
            left += [*each.keys(), *each.values()]
        elif isinstance(each, list):
            left += each
