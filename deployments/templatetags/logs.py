"""How the times of log lines are written."""

from datetime import UTC, datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def log_time(at: datetime | None, local: bool = False) -> SafeString | str:
    """A moment to the millisecond, in UTC or in the reader's zone; the day apart, for narrow screens hide it."""
    if at is None:
        return ""
    moment = timezone.localtime(at) if local else at.astimezone(UTC)
    return format_html(
        '<time datetime="{}"><span class="logline__day">{} </span>{}</time>',
        moment.isoformat(timespec="milliseconds"),
        f"{moment:%Y-%m-%d}",
        f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}",
    )
