"""Words as the choices of a column."""

from typing import Any


def choices(words: Any) -> list[tuple[str, str]]:
    """Choices of a CharField from a StrEnum."""
    return [(word.value, word.value.capitalize()) for word in words]
