"""The words of a schedule say its times: read back by a reader of this file, for every expression that is accepted."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from deployments.domain.cron_words import MONTHS, NTH, WEEKDAYS, words
from deployments.domain.schedules import clean_cron, upcoming

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
COMPARED = 40
HORIZON = timedelta(days=366 * 40)  # as far as the reader looks: some expressions name a day in few years
NUMBERS = {word: number for number, word in NTH.items()}


def field(low: int, high: int, names: list[str], *more: str) -> st.SearchStrategy[str]:
    """One field of an expression, in every form that cron knows."""
    value = st.integers(low, high).map(str) | (st.sampled_from(names) if names else st.nothing())
    span = st.tuples(st.integers(low, high), st.integers(low, high)).map(lambda p: f"{min(p)}-{max(p)}")
    term = st.one_of(value, span, st.just("*"), *(st.just(each) for each in more))
    stepped = st.tuples(st.one_of(value, span, st.just("*")), st.integers(1, 9)).map(
        lambda p: f"{p[0]}/{p[1]}"
    )
    return st.lists(term | stepped, min_size=1, max_size=3).map(",".join)


DAYS = [day[:3].upper() for day in WEEKDAYS]
expressions = st.tuples(
    st.sampled_from(["0", "5", "0,30", "*/30", "15/40", "1"]),
    field(0, 23, []),
    st.just("*") | field(1, 31, [], "L", "LW"),
    st.just("*") | field(1, 12, [month[:3] for month in MONTHS]),
    st.just("*") | field(0, 7, DAYS, "5#2", "SUN#1", "5L", "0L"),
).map(" ".join)


# -- A reader of the words --

LIST = r"[\d:]+(?:(?:, | and | through )[\d:]+)*"
CLOCK = re.compile(rf"(At {LIST}(?: minutes? past (?:every hour|the hours {LIST}))?), (.+)")


def numbers(text: str, read: Callable[[str], int]) -> set[int]:
    """ "1, 2 and 5 through 9"."""
    found: set[int] = set()
    for each in re.split(r", | and ", text):
        first, _, last = each.partition(" through ")
        found |= set(range(read(first), read(last or first) + 1))
    return found


def clock_of(text: str) -> set[tuple[int, int]]:
    """Hours and minutes."""
    if ":" in text:
        return {(int(t[:2]), int(t[3:])) for t in re.split(r", | and ", text.removeprefix("At "))}
    minutes, hours = re.fullmatch(r"At (.+) minutes? past (?:the hours (.+)|every hour)", text).groups()
    every = set(range(24)) if hours is None else numbers(hours, int)
    return {(hour, minute) for hour in every for minute in numbers(minutes, int)}


def in_month(text: str, day: date) -> bool:
    """ "days 1 and 3 or the last day"."""
    last = (day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    for each in text.split(" or "):
        if each == "the last day":
            fits = day == last
        elif each == "the last weekday":
            fits = day == next(d for d in (last - timedelta(days=n) for n in range(3)) if d.isoweekday() < 6)
        else:
            fits = day.day in numbers(re.sub("^days? ", "", each), int)
        if fits:
            return True
    return False


def in_week(text: str, day: date) -> bool:
    """ "Monday through Friday and the second Sunday of the month"."""
    for each in re.split(r", | and ", text):
        if nth := re.fullmatch(r"the (\w+) (\w+) of the month", each):
            number = NUMBERS[nth[1]]
            nearest = (day.day + 6) // 7 == number
            at_end = number < 0 and (day + timedelta(days=7)).month != day.month
            fits = WEEKDAYS[day.isoweekday() % 7] == nth[2] and (nearest or at_end)
        else:
            fits = day.isoweekday() in numbers(each, lambda name: WEEKDAYS.index(name) or 7)
        if fits:
            return True
    return False


def day_of(text: str) -> Callable[[date], bool]:
    if text == "every day":
        return lambda day: True
    if found := re.fullmatch(r"on (.+?) of the month(?: (and on|when that is) (.+))?", text):
        month, joint, week = found.groups()
        if joint is None:
            return lambda day: in_month(month, day)
        how = any if joint == "and on" else all
        return lambda day: how([in_month(month, day), in_week(week, day)])
    return lambda day: in_week(text.removeprefix("only on "), day)


def times_of(text: str):
    """The moments after START that the words name."""
    clock, days = CLOCK.fullmatch(text).groups()
    days, _, months = days.partition(", only in ")
    allowed = numbers(months, lambda name: MONTHS.index(name) + 1) if months else set(range(1, 13))
    fits, times = day_of(days), sorted(clock_of(clock))
    for distance in range(HORIZON.days):
        day = START.date() + timedelta(days=distance)
        if day.month in allowed and fits(day):
            for hour, minute in times:
                moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
                if moment > START:
                    yield moment


@pytest.mark.thorough
@settings(max_examples=400, deadline=None)
@given(expressions)
@example("0 20 * * 5/2")
@example("0 20 */2 * *")
@example("0 20 13 * 5")
@example("0 20 */2 * 5")
@example("0 20 1-31 * 5")
@example("0 20 L * 0")
@example("0 0 */2 1 5#2")
@example("0 8/5 * * 6-7")
@example("0,30 */3 * 1/5 1-5")
def test_the_words_name_exactly_the_times(cron):
    try:
        cron = clean_cron(cron)
    except ValueError:
        assume(False)
    message = words(cron)
    end = (START + HORIZON).replace(hour=0)
    expected = [moment for moment in upcoming(cron, "UTC", START, COMPARED) if moment < end]
    assert list(islice(times_of(message), COMPARED)) == expected, message


@pytest.mark.parametrize(
    ("cron", "message"),
    [
        ("0 20 * * 5/2", "At 20:00, only on Friday and Sunday"),
        ("0 20 * * 1-5", "At 20:00, Monday through Friday"),
        ("0 20 * * 5", "At 20:00, only on Friday"),
        ("30 6,20 * * *", "At 06:30 and 20:30, every day"),
        ("0 * * * *", "At 0 minutes past every hour, every day"),
        ("0 20 1 * *", "At 20:00, on day 1 of the month"),
        ("0 20 13 * 5", "At 20:00, on day 13 of the month and on Friday"),
        ("0 20 L 12,1 *", "At 20:00, on the last day of the month, only in January and December"),
        ("0 20 * * 5#2", "At 20:00, only on the second Friday of the month"),
    ],
)
def test_words(cron, message):
    assert words(cron) == message
