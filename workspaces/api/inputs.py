"""Parameters that many endpoints share."""

from typing import Any

from ninja.params.functions import Query

from console.kit import cursors


def page_limit() -> Any:
    """How many items of a list at once."""
    return Query(cursors.DEFAULT, ge=1, le=cursors.LIMIT, description="Items in one answer.")


def page_cursor() -> Any:
    """Where the page begins: `next` of the answer before."""
    return Query("", max_length=2000, description="`next` of the answer before.")
