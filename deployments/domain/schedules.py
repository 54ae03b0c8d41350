"""When a Deployment sleeps and wakes by itself: cron expressions in a time zone. Pure: no Django, no clock.

Daylight saving follows Debian's cron: what falls into the hour that is skipped comes right after it, and what falls
into the hour that comes twice comes once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

LEAST_GAP = timedelta(minutes=30)  # falling asleep and waking take minutes
FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
PREVIEWED = 3
UNKNOWN_ZONE = "Choose a time zone from the list."
LONGEST = 100  # characters of an expression; what reads it takes ever longer for longer ones


@dataclass(frozen=True)
class Suggestion:
    """A schedule that many want, offered with one click."""

    key: str
    label: str
    hibernate_cron: str
    wake_cron: str


SUGGESTIONS = (
    Suggestion("nights", "Weekday nights and weekends", "0 20 * * 1-5", "0 7 * * 1-5"),
    Suggestion("weekends", "Weekends", "0 20 * * 5", "0 7 * * 1"),
    Suggestion("every-night", "Every night", "0 20 * * *", "0 7 * * *"),
)


@cache
def zones() -> tuple[str, ...]:
    """The time zones that may be chosen, UTC first."""
    named = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/"))
    return ("UTC", *named)


def clean_cron(text: str) -> str:
    """The expression as stored, its fields one space apart. Raises ValueError with the sentence for the field."""
    if len(text) > LONGEST:
        raise ValueError(f"Enter at most {LONGEST} characters.")
    parts = text.split()
    if len(parts) != len(FIELDS):
        listed = ", ".join(FIELDS)
        raise ValueError(
            f"Enter five fields with a space between: {listed}. “0 20 * * 5” is Friday at 20:00."
        )
    cron = " ".join(parts)
    try:
        # From a fixed moment, so that the answer does not depend on the day.
        soon = upcoming(cron, "UTC", datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC")), 50)
    except (CronSimError, AssertionError) as error:
        part = str(error).removeprefix("Bad ").replace("-", " ").replace("day of month", FIELDS[2])
        named = part if part in FIELDS else "day of the week" if "week" in part else ""
        what = f"The {named} cannot be read" if named else "This cannot be read as times"
        raise ValueError(f"{what}. “0 20 * * 5” is Friday at 20:00.") from None
    if not soon:
        raise ValueError("This time never comes. Choose a day that exists.")
    if any(later - earlier < LEAST_GAP for earlier, later in pairwise(soon)):
        raise ValueError("Enter times that are at least 30 minutes apart.")
    return cron


def upcoming(cron: str, zone: str, after: datetime, count: int = PREVIEWED) -> list[datetime]:
    """The next `count` times strictly after an aware moment, in that zone. Raises CronSimError."""
    return list(islice(_times(cron, zone, after), count)) if cron else []


def _times(cron: str, zone: str, after: datetime) -> Iterator[datetime]:
    """All of them, in that zone. Asked within the second pass of an hour that comes twice, the library begins with
    times of the first one, which are over."""
    found = CronSim(cron, after.astimezone(ZoneInfo(zone)))
    # Two times of one zone compare by the clock on the wall.
    return (moment for moment in found if moment.astimezone(UTC) > after)


def following(cron: str, zone: str, after: datetime) -> datetime | None:
    """The next time strictly after an aware moment; None without an expression."""
    return next(iter(upcoming(cron, zone, after, 1)), None)


def latest(cron: str, zone: str, first: datetime, now: datetime) -> datetime:
    """The last time from `first`, which is one and not after `now`, until `now`."""
    found = first
    for moment in _times(cron, zone, first):
        at = moment.astimezone(UTC)
        if at > now:
            break
        found = at
    return found


def problems(desired: Mapping[str, object]) -> dict[str, str]:
    """What is wrong with a schedule, by field. One that is followed says at least when to hibernate or to wake."""
    found: dict[str, str] = {}
    for name in ("hibernate_cron", "wake_cron"):
        try:
            if text := str(desired.get(name) or ""):
                clean_cron(text)
        except ValueError as error:
            found[name] = str(error)
    if desired.get("time_zone") not in zones():
        found["time_zone"] = UNKNOWN_ZONE
    silent = not any(desired.get(name) for name in ("hibernate_cron", "wake_cron"))
    if desired.get("enabled") and silent:
        found["hibernate_cron"] = "Enter when to hibernate or when to wake up, or turn the schedule off."
    return found
