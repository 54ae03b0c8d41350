"""The small strip of a row in a list: its runs of the last 24 hours, from the reading that came with the row."""

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone

from deployments.models import Deployment
from deployments.presenters.charts import Slot, strip
from deployments.queries import readings


def draw(rows: Sequence[Deployment]) -> None:
    """Put on each row its strip and the same in words; "" where nothing was read in that time. No query for rows that
    came with their readings."""
    hours = readings.last_hours(timezone.now())
    keys = [hour.isoformat() for hour in hours]
    for row in rows:
        reading = readings.latest(row)
        if reading is None:
            continue
        known = {hour: (ok, bad) for hour, ok, bad in reading.day}
        slots = [_slot(hour, known.get(key)) for hour, key in zip(hours, keys, strict=True)]
        row.strip = strip(slots)
        row.strip_words = _words(slots) if row.strip else ""


def _slot(hour: datetime, counts: tuple[int, int] | None) -> Slot:
    return Slot(hour, None) if counts is None else Slot(hour, *counts)


def _words(slots: Sequence[Slot]) -> str:
    total, bad = sum(slot.total for slot in slots), sum(slot.bad or 0 for slot in slots)
    runs = f"{total} run{'' if total == 1 else 's'}"
    return f"{runs}, {bad} failed" if bad else runs
