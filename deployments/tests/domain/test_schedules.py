"""Hibernation schedules: the next times, and expressions that cannot be used."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from deployments.domain import cron_words, schedules

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        # Plain, and across a weekend.
        (
            "0 20 * * 1-5",
            BERLIN,
            "2026-11-20T20:00",
            ["2026-11-23T19:00", "2026-11-24T19:00", "2026-11-25T19:00"],
        ),
        (
            "0 7 * * 1",
            "UTC",
            "2026-11-21T00:00",
            ["2026-11-23T07:00", "2026-11-30T07:00", "2026-12-07T07:00"],
        ),
        # 29 March 2026: 02:00-03:00 does not exist in Berlin; it fires once, right after.
        (
            "30 2 * * *",
            BERLIN,
            "2026-03-28T12:00",
            ["2026-03-29T01:00", "2026-03-30T00:30", "2026-03-31T00:30"],
        ),
        # 25 October 2026: 02:00-03:00 comes twice in Berlin; it fires once.
        (
            "30 2 * * *",
            BERLIN,
            "2026-10-24T12:00",
            ["2026-10-25T00:30", "2026-10-26T01:30", "2026-10-27T01:30"],
        ),
        # 8 March and 1 November 2026 in New York.
        (
            "15 2 * * *",
            NEW_YORK,
            "2026-03-07T12:00",
            ["2026-03-08T07:00", "2026-03-09T06:15", "2026-03-10T06:15"],
        ),
        (
            "15 1 * * *",
            NEW_YORK,
            "2026-10-31T12:00",
            ["2026-11-01T05:15", "2026-11-02T06:15", "2026-11-03T06:15"],
        ),
        # The time on the wall stays, the moment moves.
        (
            "0 7 * * *",
            BERLIN,
            "2026-10-24T12:00",
            ["2026-10-25T06:00", "2026-10-26T06:00", "2026-10-27T06:00"],
        ),
        (
            "0 0 29 2 *",
            "UTC",
            "2026-01-01T00:00",
            ["2028-02-29T00:00", "2032-02-29T00:00", "2036-02-29T00:00"],
        ),
    ],
)
def test_the_next_times(cron, zone, after, expected):
    found = schedules.upcoming(cron, zone, at(after, zone))
    assert [moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M") for moment in found] == expected


@pytest.mark.parametrize("cron", ["30 2 * * *", "5 2 * * 0", "30 1,2,3 * * *", "30 * * * *"])
def test_in_the_second_pass_of_an_hour_no_time_is_one_that_is_over(cron):
    """25 October 2026, from 01:00 UTC on, is the second 02:00 of Berlin."""
    for minutes in range(0, 60, 5):
        now = at("2026-10-25T01:00") + timedelta(minutes=minutes)
        found = [each.astimezone(UTC) for each in schedules.upcoming(cron, BERLIN, now, 5)]
        assert len(found) == 5
        assert now < found[0]
        assert found == sorted(set(found))


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "five fields"),
        ("0 20 * *", "five fields"),
        ("0 0 20 * * 5", "five fields"),  # seconds
        ("@daily", "five fields"),
        ("61 20 * * 5", "The minute cannot be read"),
        ("x 20 * * 5", "The minute cannot be read"),
        ("0 25 * * *", "The hour cannot be read"),
        ("0 20 0 * *", "The day of the month cannot be read"),
        ("0 20 30 2 *", "The day of the month cannot be read"),
        ("0 20 * 13 *", "The month cannot be read"),
        ("0 20 * * 8", "The day of the week cannot be read"),
        ("5-3 20 * * *", "The minute cannot be read"),
        ("* 20 * * *", "30 minutes apart"),
        ("*/20 * * * *", "30 minutes apart"),
        ("0,5 20 * * *", "30 minutes apart"),
    ],
)
def test_a_cron_expression_that_cannot_be_used_says_why(typed, sentence):
    with pytest.raises(ValueError, match=sentence):
        schedules.clean_cron(typed)


def test_a_cron_expression_is_stored_with_single_spaces_and_told_in_words():
    assert schedules.clean_cron("  0   20 *  * 5 ") == "0 20 * * 5"
    assert cron_words.words("0 20 * * 1-5") == "At 20:00, Monday through Friday"


def test_what_is_suggested_can_be_used():
    for suggestion in schedules.SUGGESTIONS:
        assert schedules.clean_cron(suggestion.hibernate_cron) == suggestion.hibernate_cron
        assert schedules.clean_cron(suggestion.wake_cron) == suggestion.wake_cron
