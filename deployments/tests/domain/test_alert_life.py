"""When an alert opens, is reminded of and is resolved, and when messages become a digest: as tables."""

from datetime import UTC, datetime, timedelta

import pytest

from deployments.domain.alert_life import (
    MOST_IN_WINDOW,
    Decision,
    Move,
    Standing,
    Truth,
    Window,
    decide,
    spend,
    truth_of,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
FIRING, CLEAR, UNKNOWN = Truth.FIRING, Truth.CLEAR, Truth.UNKNOWN


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def open_for(span: float, *, reminders: int = 0, silenced: float | None = None) -> Standing:
    until = NOW + hours(silenced) if silenced is not None else None
    return Standing(NOW - hours(span), reminders, until)


# What is open, what is known now, muted, and the one move.
LIFE = {
    "it opens when it fires": (None, FIRING, False, Move.OPEN, 0),
    "nothing opens without data": (None, UNKNOWN, False, Move.NOTHING, 0),
    "nothing opens while all is well": (None, CLEAR, False, Move.NOTHING, 0),
    "nothing opens while the Deployment is silenced": (None, FIRING, True, Move.NOTHING, 0),
    "it stays open in its first hour": (open_for(0.99), FIRING, False, Move.NOTHING, 0),
    "it is reminded of after an hour": (open_for(1), FIRING, False, Move.REMIND, 1),
    "once": (open_for(5.9, reminders=1), FIRING, False, Move.NOTHING, 0),
    "and after six": (open_for(6, reminders=1), FIRING, False, Move.REMIND, 2),
    "and after a day": (open_for(24, reminders=2), FIRING, False, Move.REMIND, 3),
    "and then no more": (open_for(1000, reminders=3), FIRING, False, Move.NOTHING, 0),
    "missed reminders are one": (open_for(7), FIRING, False, Move.REMIND, 2),
    "and all of them are one": (open_for(100), FIRING, False, Move.REMIND, 3),
    "it is resolved when it is over": (open_for(2, reminders=1), CLEAR, False, Move.RESOLVE, 0),
    "nothing is known, so it stays": (open_for(30), UNKNOWN, False, Move.NOTHING, 0),
    "a silenced one is not reminded of": (open_for(2, silenced=1), FIRING, False, Move.NOTHING, 0),
    "after the silence it is": (open_for(2, silenced=-0.1), FIRING, False, Move.REMIND, 1),
    "a silenced one ends without a message": (open_for(2, silenced=1), CLEAR, False, Move.CLOSE, 0),
    "so does one of a silenced Deployment": (open_for(2), CLEAR, True, Move.CLOSE, 0),
    "which is not reminded of either": (open_for(2), FIRING, True, Move.NOTHING, 0),
}


@pytest.mark.parametrize("name", LIFE)
def test_the_life_of_an_alert(name):
    standing, truth, muted, move, reminders = LIFE[name]
    assert decide(standing, truth, NOW, muted=muted) == Decision(move, reminders)


@pytest.mark.parametrize(
    ("subject", "firing", "known", "truth"),
    [
        ("a", {"a"}, True, FIRING),
        ("a", {"a"}, False, FIRING),
        ("b", {"a"}, True, CLEAR),
        ("b", {"a"}, False, UNKNOWN),
    ],
)
def test_what_does_not_fire_is_over_only_where_there_is_data(subject, firing, known, truth):
    assert truth_of(subject, firing, known=known) is truth


def test_a_rule_sends_twenty_events_an_hour_by_themselves():
    window, alone = Window(None), 0
    for minute in range(59):
        window, sent = spend(window, NOW + timedelta(minutes=minute))
        alone += sent
    assert (alone, window) == (MOST_IN_WINDOW, Window(NOW, MOST_IN_WINDOW))
    assert spend(window, NOW + hours(1)) == (Window(NOW + hours(1), 1), True)
