"""Numbers and lists in sentences for people. Pure. Spans of a page's own clock are in `templatetags/ui.py`."""

from collections.abc import Iterable


def rough(seconds: float) -> str:
    """A rough span, at least one second: "8 s", "2 min", "1 h"."""
    whole = max(1, round(seconds))
    if whole < 90:
        return f"{whole} s"
    return f"{round(whole / 60)} min" if whole < 5400 else f"{round(whole / 3600)} h"


def exact(seconds: float) -> str:
    """A span in two units at most, never negative: "45 s", "3 min 20 s", "2 h 5 min"."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    minutes = whole % 3600 // 60
    return f"{whole // 3600} h {minutes} min" if minutes else f"{whole // 3600} h"


def spelled(seconds: float) -> str:
    """A rough span in words, rounded up: "45 seconds", "3 minutes"; minutes from two on."""
    whole = max(1, round(seconds))
    return counted(whole, "second") if whole < 120 else f"{-(-whole // 60)} minutes"


def counted(number: int, one: str, many: str = "") -> str:
    """ "1 file", "1,200 files"; `many` where that is more than an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(names: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    *head, last = list(names)
    return f"{', '.join(head)} and {last}" if head else last
