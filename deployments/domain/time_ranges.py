"""The spans of time that pages draw, and how they are cut into slots. In UTC, so that a slot is the same for all."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class TimeRange:
    """One choice of a page: `count` slots of length `step`, the last one of which is not over yet."""

    key: str  # in addresses
    label: str
    step: timedelta
    count: int
    each: str  # what one slot is called

    @property
    def span(self) -> timedelta:
        """The whole of it."""
        return self.step * self.count

    def slots(self, now: datetime) -> list[datetime]:
        """Where each slot begins, oldest first. Slots begin at whole multiples of their length."""
        last = EPOCH + (now - EPOCH) // self.step * self.step
        return [last - self.step * back for back in range(self.count - 1, -1, -1)]

    def place(self, moment: datetime, now: datetime) -> float | None:
        """Where a moment lies, from 0 (the beginning of the first slot) to 1 (the end of the last); None outside."""
        begin = self.slots(now)[0]
        part = (moment - begin) / self.span
        return part if 0 <= part <= 1 else None


RANGES = {
    each.key: each
    for each in (
        TimeRange("1h", "1 hour", timedelta(minutes=1), 60, "minute"),
        TimeRange("24h", "24 hours", timedelta(hours=1), 24, "hour"),
        TimeRange("7d", "7 days", timedelta(hours=3), 56, "3 hours"),
        TimeRange("30d", "30 days", timedelta(days=1), 30, "day"),
    )
}
USUAL = RANGES["24h"]


def range_of(key: str) -> TimeRange:
    """The range of this key; that of 24 hours when there is none."""
    return RANGES.get(key, USUAL)
