"""Charts as SVG: figures in, markup out. Pure. Colors come from classes, figures for those who do not see them from the
table beside it, so every drawing is hidden from screen readers. Drawings are stretched to the width they get."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

WIDTH = 720
BAND = 56  # height of a chart of bars
RIBBON = 8


@dataclass(frozen=True)
class Slot:
    """What was counted in one span of time. None means that nothing is known of it, which is not zero."""

    good: int | None
    bad: int | None = None
    words: str = ""  # `span_text` of it

    @property
    def known(self) -> bool:
        """Whether anything is known of it."""
        return self.good is not None

    @property
    def total(self) -> int:
        """Good and bad; 0 where nothing is known."""
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
    pitch = WIDTH / len(slots)
    width = pitch * 0.78
    paths: dict[str, list[str]] = {css: [] for css in (*kinds, "foot", "gap")}
    over, current = (slots[:-1], slots[-1]) if slots[-1].total else (slots, None)
    for number, slot in enumerate(over):
        _stand(paths, slot, number * pitch, pitch, top, kinds)
    thick = f' stroke-width="{_n(width)}"'
    drawn = [
        f'<path class="chart__{css}" d="{"".join(parts)}"{"" if css == "gap" else thick}/>'
        for css, parts in paths.items()
        if parts
    ]
    if current:
        drawn.append(_hatched(_heights(current, top), WIDTH - pitch * 0.89, width, kinds, name))
    return _svg("chart", BAND, *drawn, _lines(marks, BAND), _hits(slots, pitch, words))


def _stand(
    paths: dict[str, list[str]], slot: Slot, x: float, pitch: float, top: int, kinds: tuple[str, str]
) -> None:
    """Add one slot to the paths. An upright line as thick as a bar is the shortest way to say a bar."""
    middle, bottom = f"M{_n(x + pitch / 2)} ", BAND
    if not slot.known:
        width = _n(pitch * 0.78)
        paths["gap"].append(f"M{_n(x + pitch * 0.11)} {BAND - 3}h{width}v3h-{width}z")
    elif not slot.total:
        paths["foot"].append(f"{middle}{BAND}v-1")
    for kind, height in zip(kinds, _heights(slot, top), strict=True):
        if height:
            paths[kind].append(f"{middle}{bottom}v-{height}")
            bottom -= height


def _heights(slot: Slot, top: int) -> tuple[int, int]:
    """How high both parts of a bar are; few are seen beside many."""
    counts = (slot.good or 0, slot.bad or 0)
    good, bad = (max(2, round(each / top * (BAND - 2))) if each else 0 for each in counts)
    return min(good, BAND - bad), bad


def _hatched(heights: tuple[int, int], x: float, width: float, kinds: tuple[str, str], name: str) -> str:
    """The bar of the slot that is not over, with the patterns that fill it."""
    patterns, shapes, bottom = [], [], BAND
    for kind, height in zip(kinds, heights, strict=True):
        if height:
            bottom -= height
            patterns.append(
                f'<pattern id="{name}-{kind}" width="5" height="5" patternUnits="userSpaceOnUse" '
                f'patternTransform="rotate(45)"><path class="chart__{kind}-line" d="M0 0v5"/></pattern>'
            )
            shapes.append(
                f'<rect class="chart__open chart__open--{kind}" fill="url(#{name}-{kind})" x="{_n(x)}" '
                f'y="{bottom}" width="{_n(width)}" height="{height}"/>'
            )
    return f"<defs>{''.join(patterns)}</defs>{''.join(shapes)}"


def _hits(slots: Sequence[Slot], pitch: float, words: tuple[str, str]) -> str:
    """What the pointer finds: the figures of a slot, over its whole height."""
    found = []
    for number, slot in enumerate(slots):
        so_far = ", so far" if number == len(slots) - 1 and slot.known else ""
        box = f"M{_n(number * pitch)} 0h{_n(pitch)}v{BAND}h-{_n(pitch)}z"
        found.append(f'<path d="{box}"><title>{slot.words}: {counted(slot, words)}{so_far}</title></path>')
    return f'<g class="chart__hits">{"".join(found)}</g>'


def ribbon(stretches: Sequence[Stretch], marks: Sequence[float] = ()) -> SafeString:
    """Which status there was when."""
    shapes = [
        f'<path data-tone="{each.tone}" d="M{_n(each.begin * WIDTH)} 0H{_n(each.end * WIDTH)}V{RIBBON}'
        f'H{_n(each.begin * WIDTH)}z"><title>{escape(each.title)}</title></path>'
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
