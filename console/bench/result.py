"""What a measurement hands back."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    what: str
    must: str
    measured: str
    ok: bool


@dataclass(frozen=True)
class Result:
    """One row of the bench. `method` is a paragraph; `details` are further figures, a sentence each."""

    figures: tuple[Figure, ...]
    method: str
    details: tuple[str, ...] = ()


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least `part` (0 to 1) of all values do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


def each(values: Sequence[float], unit: str, digits: int = 1) -> str:
    """ "16.2, 15.9 and 16.4 s": every repetition, for a reader who wants to see the spread."""
    words = [f"{value:.{digits}f}" for value in values]
    return f"{', '.join(words[:-1])} and {words[-1]} {unit}" if len(words) > 1 else f"{words[0]} {unit}"


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)
