"""Time for people."""

from datetime import datetime, timedelta


def duration_text(span: timedelta) -> str:
    """A duration as the page writes it: "0:42", "3:10", "1:02:05". Never negative."""
    seconds = max(0, int(span.total_seconds()))
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def elapsed(started_at: datetime | None, finished_at: datetime | None, now: datetime) -> timedelta | None:
    """How long something took, or has taken so far; None before it started."""
    return None if started_at is None else (finished_at or now) - started_at
