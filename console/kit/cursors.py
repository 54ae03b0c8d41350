"""Places in a list: what a page of an API ends with and the next one begins after. Opaque to clients."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from console.kit.refusals import InvalidInput
from console.kit.text import is_storable

LIMIT, DEFAULT = 100, 50
WRONG = "Take the cursor from the answer before, as it is."


def _moment(text: str) -> datetime:
    """With its zone. Raises ValueError and OverflowError."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found.astimezone(UTC)


# What stands in a place as text, and how it is read.
AS_TEXT: dict[type, Callable[[str], Any]] = {UUID: UUID, datetime: _moment}


def pack(*place: object) -> str:
    """The place after a row, by the values that the list is ordered by: texts and whole numbers."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def unpack(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """What `pack` was given. Raises InvalidInput unless it is one value of each of these kinds."""
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        right = isinstance(place, list) and [type(each) for each in place] == list(kinds)
    except (ValueError, binascii.Error, RecursionError):
        right = False
    if not right or not all(_is_storable(each) for each in place):
        raise InvalidInput({"cursor": WRONG})
    return tuple(place)


def _is_storable(each: object) -> bool:
    return is_storable(each) if isinstance(each, str) else not isinstance(each, int) or abs(each) < 2**63


def after(cursor: str, *fields: tuple[str, type]) -> Q:
    """The rows after a place in a list that is ordered by these fields, ascending, or descending where the name begins
    with a hyphen. Nothing without a cursor. A UUID stands in it as text, and a moment in ISO's form. Raises
    InvalidInput."""
    if not cursor:
        return Q()
    place = unpack(cursor, *(str if kind in AS_TEXT else kind for _, kind in fields))
    found, same = Q(), Q()
    for (name, kind), value in zip(fields, place, strict=True):
        column = name.removeprefix("-")
        if kind in AS_TEXT:
            try:
                value = AS_TEXT[kind](value)  # noqa: PLW2901 - what the text says
            except (ValueError, OverflowError):
                raise InvalidInput({"cursor": WRONG}) from None
        found |= same & Q(**{f"{column}__{'lt' if name.startswith('-') else 'gt'}": value})
        same &= Q(**{column: value})
    return found


def page[T](rows: Sequence[T], limit: int, place_of: Callable[[T], str]) -> tuple[Sequence[T], str | None]:
    """Of one row more than asked for: those of the page, and the cursor of the next one, None at the end."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], place_of(rows[limit - 1])
