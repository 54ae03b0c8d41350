"""What every page is drawn with: icons, times and small text helpers. Knows no app and no state words."""

import re
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from django import template
from django.core.paginator import Page
from django.forms.boundfield import BoundWidget
from django.utils import timezone
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe

from console.kit import user_agents

register = template.Library()

ICONS = Path(__file__).resolve().parent.parent / "icons"
RELATIVE_FOR = timedelta(days=7)


@cache
def _drawing(name: str) -> str:
    """The shapes inside an icon's file. The files are ours, so they may stand in a page unescaped."""
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise template.TemplateSyntaxError(f"{name!r} is not the name of an icon")
    try:
        text = (ICONS / f"{name}.svg").read_text()
    except FileNotFoundError:
        raise template.TemplateSyntaxError(f"There is no icon {name!r} in console/kit/icons") from None
    inside = re.search(r"<svg[^>]*>(.*)</svg>", text, re.DOTALL)
    if inside is None:
        raise template.TemplateSyntaxError(f"The icon {name!r} is not one <svg>")
    return " ".join(inside[1].split()).replace(" />", "/>").replace("> <", "><")


@register.simple_tag
def icon(name: str, turns: bool = False) -> SafeString:
    """An inline SVG in the colour of the text around it, hidden from screen readers: words stand by."""
    classes = "icon icon--turns" if turns else "icon"
    return format_html(
        '<svg class="{}" viewBox="0 0 24 24" aria-hidden="true" data-icon="{}">{}</svg>',
        classes,
        name,
        mark_safe(_drawing(name)),  # noqa: S308 - our own files, see _drawing
    )


def clock(span: timedelta) -> str:
    """A span for people, in whole seconds, never negative: "0:42", "1:02:03", "2 d 3 h". app.js agrees."""
    seconds = max(0, int(span.total_seconds()))
    hours, minutes = seconds // 3600, seconds // 60 % 60
    if hours >= 24:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


@register.simple_tag
def elapsed(since: datetime | None, until: datetime | None = None) -> SafeString:
    """The time from `since` to `until`; ticks in the browser without `until`; "–" unless begun."""
    if since is None:
        return mark_safe("–")
    if until is not None:
        return format_html("<time>{}</time>", clock(until - since))
    return format_html('<time data-since="{}">{}</time>', since.isoformat(), clock(timezone.now() - since))


def ago(value: datetime, now: datetime) -> str:
    """Relative words up to seven days, then the date in the reader's zone; a future moment counts as now."""
    gone = now - value
    if gone >= RELATIVE_FOR:
        return f"{timezone.localtime(value):%-d %b %Y}"
    minutes = int(gone.total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    hours = minutes // 60
    if hours < 24:
        return "1 hour ago" if hours == 1 else f"{hours} hours ago"
    return "yesterday" if hours < 48 else f"{hours // 24} days ago"


@register.simple_tag
def when(value: datetime | None, full: bool = False) -> SafeString:
    """A moment in relative words, titled with the full moment and zone; `full` shows that instead."""
    if value is None:
        return mark_safe("–")
    moment = f"{timezone.localtime(value):%-d %b %Y, %H:%M:%S %Z}"
    text = moment if full else ago(value, timezone.now())
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), moment, text)


def ahead(value: datetime, now: datetime) -> str:
    """A future moment in relative words: "in 6 days"."""
    minutes = int((value - now).total_seconds() // 60)
    units = ((1440, "day"), (60, "hour"), (1, "minute"))
    size, unit = next((each for each in units if minutes >= each[0]), (0, ""))
    amount = round(minutes / size) if size else 0
    return f"in {amount} {unit}{'' if amount == 1 else 's'}" if size else "within a minute"


@register.simple_tag
def until(value: datetime) -> SafeString:
    """A future moment in relative words, titled with the full moment and zone: "in 6 days"."""
    text = ahead(value, timezone.now())
    moment = f"{timezone.localtime(value):%-d %b %Y, %H:%M:%S %Z}"
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), moment, text)


@register.simple_tag
def described(radio: BoundWidget) -> SafeString:
    """The control of a choice card; the sentence beside it, when there is one, is its description and not its name."""
    if "\n" in str(radio.choice_label):
        radio.data["attrs"]["aria-describedby"] = f"{radio.id_for_label}_text"
    return radio.tag()


@register.filter
def first_line(value: object) -> str:
    """The title of a choice card: the first line of its label."""
    return str(value).partition("\n")[0]


@register.filter
def other_lines(value: object) -> str:
    """The sentence of a choice card: what follows the first line of its label."""
    return str(value).partition("\n")[2]


@register.filter
def without_password(value: object) -> str:
    """A text in which the passwords of addresses such as postgresql://user:password@host are dots."""
    return re.sub(r"(\w+://[^\s:/@]*:)[^\s@/]+(?=@)", r"\1•••", str(value))


@register.filter
def breakable(value: object) -> SafeString:
    """A path or name that may wrap after each slash; copying it copies nothing extra."""
    return mark_safe(conditional_escape(str(value)).replace("/", "/<wbr>"))  # noqa: S308 - escaped here


@register.filter
def initial(value: object) -> str:
    """The letter of an avatar."""
    return str(value).strip()[:1].upper() or "?"


@register.simple_tag
def page_numbers(page: Page[Any]) -> list[int | str]:
    """The page numbers to link to, with an ellipsis where some are left out."""
    return list(page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1))


@register.filter
def browser(user_agent: str) -> str:
    """A browser's description of itself, in words."""
    return user_agents.in_words(user_agent)
