"""A cron expression in words. It is taken apart by the same library that finds its times, so that both say the same: a
library of words with a reader of its own called "5/2" every two weeks, and the times are Friday and Sunday. Pure."""

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime

from cronsim import CronSim

from console.kit.wording import listed

WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = "January February March April May June July August September October November December".split()
NTH = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", CronSim.LAST: "last"}
LISTED = 6  # times of one day that are written out
_ANY = datetime(2024, 1, 1, tzinfo=UTC)  # the moment from which nothing is asked
type Weekday = (
    int | tuple[int, int]
)  # from 0, Sunday; or with its number in the month: (1, 3) is the third Monday


def words(cron: str) -> str:
    """ "At 20:00, only on Friday". Raises CronSimError."""
    read = CronSim(cron, _ANY)
    parts = [_clock(read.minutes, read.hours), *_days(read.days, read.weekdays, both=read.day_and)]
    if len(read.months) < len(MONTHS):
        parts.append(f"only in {listed(_runs(read.months, lambda month: MONTHS[month - 1]))}")
    return ", ".join(parts)


def _clock(minutes: Collection[int], hours: Collection[int]) -> str:
    if len(minutes) * len(hours) <= LISTED:
        times = (f"{hour:02}:{minute:02}" for hour in sorted(hours) for minute in sorted(minutes))
        return f"At {listed(times)}"
    past = listed(_runs(minutes, str))
    unit = "minute" if set(minutes) == {1} else "minutes"
    if len(hours) == 24:
        return f"At {past} {unit} past every hour"
    return f"At {past} {unit} past the hours {listed(_runs(hours, str))}"


def _days(days: Collection[int], weekdays: Collection[Weekday], *, both: bool) -> list[str]:
    """`both`: a day must be among the days of the month and of the week; else one of them is enough."""
    week = {day % 7 if isinstance(day, int) else (day[0] % 7, day[1]) for day in weekdays}
    by_month, by_week = not set(range(1, 32)) <= set(days), not set(range(7)) <= week
    if by_month and by_week:
        joint = "when that is" if both else "and on"
        return [f"on {_of_month(days)} of the month {joint} {_of_week(week)}"]
    if not both or not (by_month or by_week):
        return ["every day"]
    return [f"on {_of_month(days)} of the month"] if by_month else [_only(week)]


def _of_month(days: Collection[int]) -> str:
    """ "day 1", "days 1, 2 and 5 through 9", "the last day", "the last weekday"."""
    plain = {day for day in days if day > 0}
    found = [f"{'day' if len(plain) == 1 else 'days'} {listed(_runs(plain, str))}"] if plain else []
    found += ["the last day"] if CronSim.LAST in days else []
    found += ["the last weekday"] if CronSim.LAST_WEEKDAY in days else []
    return " or ".join(found)


def _only(week: Collection[Weekday]) -> str:
    message = _of_week(week)
    return message if " through " in message and " and " not in message else f"only on {message}"


def _of_week(week: Collection[Weekday]) -> str:
    """ "Friday", "Monday through Friday", "the second Friday of the month"."""
    plain = [day for day in week if isinstance(day, int)]
    nth = sorted((day for day in week if not isinstance(day, int)), key=lambda pair: (pair[1] < 0, pair[1]))
    named = [f"the {NTH[number]} {WEEKDAYS[day]} of the month" for day, number in nth]
    # Monday first, as people count: Saturday and Sunday are neighbors.
    return listed([*_runs([day or 7 for day in plain], lambda day: WEEKDAYS[day % 7]), *named])


def _runs(values: Iterable[int], name: Callable[[int], str]) -> list[str]:
    """The values in order, three and more neighbors as "a through b"."""
    found: list[list[int]] = []
    for value in sorted(set(values)):
        if found and found[-1][-1] == value - 1:
            found[-1].append(value)
        else:
            found.append([value])
    message: list[str] = []
    for run in found:
        if len(run) > 2:
            message.append(f"{name(run[0])} through {name(run[-1])}")
        else:
            message += [name(value) for value in run]
    return message
