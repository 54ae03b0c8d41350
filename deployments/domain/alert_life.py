"""The life of an alert: when it opens, is reminded of and is resolved, and when messages become a digest. Pure: rows
and a clock in, one move out."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

REMIND_AFTER = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))
WINDOW = timedelta(hours=1)
MOST_IN_WINDOW = 20  # events of one rule that are sent by themselves; the others make one digest


class Truth(StrEnum):
    """What is known of a condition now."""

    FIRING = "firing"
    CLEAR = "clear"
    UNKNOWN = "unknown"  # no data, or none that counts: nothing is opened, reminded of or resolved


class Move(StrEnum):
    """What to do with an alert."""

    NOTHING = "nothing"
    OPEN = "opened"
    REMIND = "reminded"
    RESOLVE = "resolved"
    CLOSE = "closed"  # resolved without a message


@dataclass(frozen=True)
class Standing:
    """An open alert, as far as its life depends on it."""

    opened_at: datetime
    reminders: int = 0  # how many of REMIND_AFTER are behind it
    silenced_until: datetime | None = None


@dataclass(frozen=True)
class Decision:
    """One move; with REMIND, how many reminders are behind the alert afterwards."""

    move: Move
    reminders: int = 0


def decide(alert: Standing | None, truth: Truth, now: datetime, *, muted: bool = False) -> Decision:
    """The one move that is due. `muted`: everything of the Deployment is silenced now, so nothing opens, and what is
    over closes without a message. A reminder that was missed, or silenced, is made up for once, not several times."""
    if alert is None:
        return Decision(Move.OPEN if truth is Truth.FIRING and not muted else Move.NOTHING)
    quiet = muted or (alert.silenced_until is not None and alert.silenced_until > now)
    if truth is Truth.CLEAR:
        return Decision(Move.CLOSE if quiet else Move.RESOLVE)
    if truth is Truth.UNKNOWN or quiet:
        return Decision(Move.NOTHING)
    due = sum(now - alert.opened_at >= after for after in REMIND_AFTER)
    return Decision(Move.REMIND, due) if due > alert.reminders else Decision(Move.NOTHING)


def truth_of(subject: str, firing: Iterable[str], *, known: bool) -> Truth:
    """What is known of one subject, when `firing` are all that fire and `known` says whether there was data."""
    if subject in firing:
        return Truth.FIRING
    return Truth.CLEAR if known else Truth.UNKNOWN


@dataclass(frozen=True)
class Window:
    """What a rule has sent since `since`."""

    since: datetime | None
    used: int = 0


def spend(window: Window, now: datetime) -> tuple[Window, bool]:
    """The window after one more event, and whether that is sent by itself. An hour later the next window begins, once
    the digest of the last one was made (`alert_outbox.make_digests`)."""
    if window.since is None or now - window.since >= WINDOW:
        return Window(now, 1), True
    if window.used < MOST_IN_WINDOW:
        return Window(window.since, window.used + 1), True
    return window, False
