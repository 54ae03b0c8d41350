"""Charts as SVG: figures in, markup out. Pure. Colors come from classes, figures for those who do not see them from the
table beside it, so every drawing is hidden from screen readers. Drawings are stretched to the width they get."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

WIDTH = 720
BAND = 56  # height of a chart of bars
RIBBON = 8


@dataclass(frozen=True)
class Slot:
    """What was counted in one span of time. None means that nothing is known of it, which is not zero."""

    start: datetime
    good: int | None
    bad: int | None = None
    words: str = ""  # `span_text` of it

    @property
    def known(self) -> bool:
        """Whether it was looked at."""
        return self.good is not None

    @property
    def total(self) -> int:
        """Both together."""
        return (self.good or 0) + (self.bad or 0)


@dataclass(frozen=True)
class Stretch:
    """One color of a ribbon: from where to where, as parts of its width, in which tone, and its words."""

    begin: float
    end: float
    tone: str
    title: str


def _n(value: float) -> str:
    """A coordinate with one digit at most."""
    text = f"{value:.1f}"
    return text.removesuffix(".0")


def span_text(start: datetime, step: timedelta, zone: tzinfo) -> str:
    """ "14:00 to 15:00 UTC", with the day where a slot is not of today's clock, and the reader's own time beside it."""

    form = "%-d %b, %H:%M" if step >= timedelta(days=1) else "%H:%M"

    def words(at: datetime) -> str:
        return f"{at:%-d %b, %H:%M} to {at + step:{form}}"

    utc, own = start.astimezone(UTC), start.astimezone(zone)
    text = f"{words(utc)} UTC"
    return text if own.utcoffset() == timedelta(0) else f"{text} ({words(own)} {own:%Z})"


def counted(slot: Slot, words: tuple[str, str]) -> str:
    """ "12 succeeded, 1 failed"; "no data" where nothing is known."""
    if not slot.known:
        return "no data"
    good, bad = words
    parts = [f"{slot.good} {good}"]
    if slot.bad is not None:
        parts.append(f"{slot.bad} {bad}")
    return ", ".join(parts)


def bars(
    slots: Sequence[Slot],
    *,
    name: str,
    marks: Sequence[float] = (),
    words: tuple[str, str] = ("succeeded", "failed"),
    kinds: tuple[str, str] = ("good", "bad"),
) -> SafeString:
    """One bar per slot: what went well, with what failed on top of it; `kinds` names their colors. A slot of which
    nothing is known is dotted, one with nothing in it has a foot. The last slot is not over, so it is hatched. `name`
    makes ids; `marks` are moments, as parts of the width, at which a line goes through."""
    top = max((slot.total for slot in slots), default=0) or 1
    drawn, hits = [], []
    for number, (slot, (box, hit)) in enumerate(zip(slots, _columns(len(slots)), strict=True)):
        last = number == len(slots) - 1
        drawn.append(_bar(slot, box, top, kinds, name if last else ""))
        so_far = ", so far" if last and slot.known else ""
        title = f"{slot.words}: {counted(slot, words)}{so_far}"
        hits.append(f'<g class="chart__hit"><title>{title}</title>{hit}</g>')
    patterns = "".join(
        f'<pattern id="{name}-{kind}" width="5" height="5" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><path class="chart__{kind}-line" d="M0 0v5"/></pattern>'
        for kind in kinds
    )
    return _svg("chart", BAND, f"<defs>{patterns}</defs>", *drawn, _lines(marks, BAND), *hits)


@cache  # there are as many counts as spans of time
def _columns(count: int) -> tuple[tuple[str, str], ...]:
    """Of each slot, from left to right: the place and width of its bar, as attributes, and the shape above and below it
    that shows its title."""
    pitch = WIDTH / count
    wide = _n(pitch)
    return tuple(
        (
            f'x="{_n((number + 0.11) * pitch)}" width="{_n(pitch * 0.78)}"',
            f'<path d="M{_n(number * pitch)} 0h{wide}v{BAND}h-{wide}z"/>',
        )
        for number in range(count)
    )


def _bar(slot: Slot, box: str, top: int, kinds: tuple[str, str], hatched: str) -> str:
    """The shapes of one slot; `hatched` is the name whose patterns fill it."""
    if not slot.known:
        return f'<rect class="chart__gap" {box} y="{BAND - 3}" height="3"/>'
    if not slot.total:
        return f'<rect class="chart__foot" {box} y="{BAND - 1}" height="1"/>'
    shapes, bottom = [], float(BAND)
    for kind, value in zip(kinds, (slot.good or 0, slot.bad or 0), strict=True):
        if value:
            height = max(2.0, value / top * (BAND - 2))  # few are seen beside many
            bottom -= height
            fill = f' fill="url(#{hatched}-{kind})"' if hatched else ""
            style = f"chart__open chart__open--{kind}" if hatched else f"chart__{kind}"
            shapes.append(
                f'<rect class="{style}"{fill} {box} y="{_n(max(0.0, bottom))}" height="{_n(height)}"/>'
            )
    return "".join(shapes)


def ribbon(stretches: Sequence[Stretch], marks: Sequence[float] = ()) -> SafeString:
    """Which status there was when."""
    shapes = [
        f'<g data-tone="{each.tone}"><title>{escape(each.title)}</title>'
        f'<path d="M{_n(each.begin * WIDTH)} 0H{_n(each.end * WIDTH)}V{RIBBON}H{_n(each.begin * WIDTH)}z"/></g>'
        for each in stretches
    ]
    return _svg("chart chart--ribbon", RIBBON, *shapes, _lines(marks, RIBBON))


def _lines(marks: Sequence[float], height: int) -> str:
    if not marks:
        return ""
    path = "".join(f"M{_n(mark * WIDTH)} 0v{height}" for mark in marks)
    return f'<path class="chart__mark" d="{path}"/>'


def _svg(css: str, height: int, *inside: str) -> SafeString:
    head = f'<svg class="{css}" viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="none" aria-hidden="true">'
    return mark_safe(f"{head}{''.join(inside)}</svg>")  # noqa: S308 - numbers of ours; titles are escaped


STRIP_HEIGHT, STRIP_PITCH = 12, 4


def strip(slots: Sequence[Slot]) -> SafeString:
    """The same as a small strip for a row of a list: upright lines, in one path for what went well and one for what
    failed, as short as they can be. Nothing when nothing is known at all."""
    if not any(slot.known for slot in slots):
        return mark_safe("")
    top = max(slot.total for slot in slots) or 1
    good, bad, feet = [], [], []
    for number, slot in enumerate(slots):
        x = number * STRIP_PITCH + 2
        if not slot.known:
            continue
        if not slot.total:
            feet.append(f"M{x} {STRIP_HEIGHT}v-1")
            continue
        high = max(2, round(slot.total / top * STRIP_HEIGHT))
        failed = min(high, max(2, round((slot.bad or 0) / top * STRIP_HEIGHT))) if slot.bad else 0
        if high > failed:
            good.append(f"M{x} {STRIP_HEIGHT}v-{high - failed}")
        if failed:
            bad.append(f"M{x} {STRIP_HEIGHT - high + failed}v-{failed}")
    paths = "".join(
        f'<path class="{css}" d="{"".join(parts)}"/>' if css else f'<path d="{"".join(parts)}"/>'
        for css, parts in (("", good), ("bad", bad), ("foot", feet))
        if parts
    )
    box = f"0 0 {len(slots) * STRIP_PITCH} {STRIP_HEIGHT}"
    return mark_safe(f'<svg class="strip" viewBox="{box}" aria-hidden="true">{paths}</svg>')  # noqa: S308 - numbers alone
