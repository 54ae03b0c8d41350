"""Mail without a mail server, for one person's machine: messages are kept in a folder and read on /mail/.

Only routed when DEBUG or EMBEDDED and no EMAIL_HOST is set (see `urls_dev`). Reset links stand in mail, so only site
administrators may read it.
"""

import email.policy
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage as ParsedMessage
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

KEEP = 200


class EmailBackend(BaseEmailBackend):
    """Writes each message as a file of its own, readable by this user alone, and forgets the oldest."""

    def __init__(self, *, folder: Path, **options: Any) -> None:
        super().__init__(**options)
        self.folder = Path(folder)

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Keep them; how many. Raises OSError when the folder cannot be written."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for message in email_messages:
            name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex}"
            part = self.folder / f"{name}.part"
            part.touch(mode=0o600)
            part.write_bytes(message.message().as_bytes())
            part.rename(self.folder / f"{name}.eml")
        for old in sorted(self.folder.glob("*.eml"))[:-KEEP]:
            old.unlink(missing_ok=True)
        return len(email_messages)


@dataclass(frozen=True)
class Letter:
    """One kept message, as the page shows it."""

    at: str
    to: str
    subject: str
    text: str


def letters(folder: Path) -> list[Letter]:
    """What is kept, newest first."""
    return [_read(path) for path in sorted(folder.glob("*.eml"), reverse=True)]


def _read(path: Path) -> Letter:
    message = message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(message, ParsedMessage)  # noqa: S101 - what the default policy makes
    body = message.get_body(("plain",))
    return Letter(
        at=str(message["Date"]),
        to=str(message["To"]),
        subject=str(message["Subject"]),
        text=body.get_content() if body else "",
    )


@require_GET
@login_required
def mail(request: HttpRequest) -> HttpResponse:
    """The kept mail, for site administrators. Links in it can be followed."""
    if not request.user.is_staff:
        raise Http404
    return render(request, "mail.html", {"letters": letters(settings.MAIL_FOLDER)})
