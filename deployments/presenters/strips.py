"""The small strip of a row in a list: its runs of the last 24 hours, from the reading that came with the row."""

from collections.abc import Sequence

from django.utils import timezone

from console.kit.wording import counted
from deployments.models import Deployment
from deployments.presenters.charts import Slot, strip
from deployments.queries import readings


def draw(rows: Sequence[Deployment]) -> None:
    """Put on each row its strip and the same in words; "" where nothing was read in that time. No query for rows that
    came with their readings."""
    keys = [hour.isoformat() for hour in readings.last_hours(timezone.now())]
    for row in rows:
        reading = readings.latest(row)
        if reading is None:
            continue
        known = {hour: (ok, bad) for hour, ok, bad in reading.day}
        slots = [_slot(known.get(key)) for key in keys]
        row.strip = strip(slots)
        row.strip_words = _words(slots) if row.strip else ""


def _slot(counts: tuple[int, int] | None) -> Slot:
    return Slot(None) if counts is None else Slot(*counts)


def _words(slots: Sequence[Slot]) -> str:
    total, bad = sum(slot.total for slot in slots), sum(slot.bad or 0 for slot in slots)
    runs = counted(total, "run")
    return f"{runs}, {bad} failed" if bad else runs
