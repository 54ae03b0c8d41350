"""How long a step usually takes, and when it takes so long that a person should look. Pure: no I/O, no clock."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from console.kit.wording import rough

FEWEST_SAMPLES = 5  # fewer say nothing
MOST_SAMPLES = 50  # what is kept of each step
TIMES = 3  # the usual p95, and a step is stalled
FLOOR_SECONDS = 10.0  # below this nothing is: a step of half a second may take five


@dataclass(frozen=True)
class TypicalDuration:
    """What the last runs of a step took, in seconds."""

    median: float
    p95: float

    @property
    def limit(self) -> timedelta:
        """What runs longer is stalled."""
        return timedelta(seconds=max(FLOOR_SECONDS, TIMES * self.p95))

    @property
    def text(self) -> str:
        """The usual time for people."""
        return rough(self.median)


@dataclass(frozen=True)
class StepProgress:
    """How the step at work does against what is usual. `waits_for` is its own sentence."""

    key: str
    title: str
    waits_for: str
    since: datetime
    typical: TypicalDuration
    now: datetime

    @property
    def stalled(self) -> bool:
        """Whether it is past its time."""
        return self.now - self.since > self.typical.limit

    @property
    def due_in(self) -> int | None:
        """In how many whole seconds it will be past its time; None when it is."""
        left = self.typical.limit - (self.now - self.since)
        return None if self.stalled else max(1, math.ceil(left.total_seconds()) + 1)


def typical(seconds: Sequence[float]) -> TypicalDuration | None:
    """What is usual, from the last runs; None when there are too few. Percentiles by nearest rank."""
    if len(seconds) < FEWEST_SAMPLES:
        return None
    ranked = sorted(seconds)
    return TypicalDuration(_percentile(ranked, 0.5), _percentile(ranked, 0.95))


def _percentile(ranked: Sequence[float], part: float) -> float:
    return ranked[max(0, math.ceil(part * len(ranked)) - 1)]
