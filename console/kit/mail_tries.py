"""When a mail that the mail server did not take is tried again, what is said of it, and since when such a mail waits.
Pure."""

import smtplib
from datetime import datetime, timedelta

# Seconds between two tries. A mail that was not taken after the last one counts as not sent.
BACKOFF_SECONDS = (15, 30, 60, 120, 300, 600, 1800, 3600)
SILENT = "The mail server does not answer."


def waits_since(due_at: datetime, tries: int) -> datetime:
    """When a mail first became due that has had so many tries and is due again at `due_at`; off by the seconds that the
    tries took."""
    return due_at - timedelta(seconds=sum(BACKOFF_SECONDS[:tries]))


def refusal(error: Exception) -> str:
    """Why the mail server will not take this mail however often it is tried, as a sentence; "" when it may yet. A code
    below 500 only asks to wait: many servers give one to whom they do not know, or who sends much (greylisting)."""
    if min(_codes(error), default=0) < 500:
        return ""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "The mail server refused the address."
    if isinstance(error, smtplib.SMTPSenderRefused):
        return "The mail server refused the sender. Ask a site administrator to check EMAIL_FROM."
    return ""


def answered(error: Exception) -> bool:
    """Whether the mail server is there and only did not take this mail."""
    return bool(_codes(error))


def delay(error: Exception) -> str:
    """What the mail server said, or that it did not, in a sentence about a mail that is tried again."""
    codes = _codes(error)
    if not codes:
        return SILENT
    if min(codes) < 500:
        return "The mail server asks to try later."
    return "The mail server did not take the mail."


def _codes(error: Exception) -> list[int]:
    """The codes that a mail server answered with; none when it did not answer, which smtplib calls 0 or -1."""
    found: list[int] = []
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        found = [code for code, _ in error.recipients.values()]
    elif isinstance(error, smtplib.SMTPResponseException):
        found = [error.smtp_code]
    return [code for code in found if code > 0]
