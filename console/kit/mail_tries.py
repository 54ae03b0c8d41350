"""When a mail that the mail server did not take is tried again, and since when such a mail waits. Pure."""

from datetime import datetime, timedelta

# Seconds between two tries. A mail that was not taken after the last one counts as not sent.
BACKOFF_SECONDS = (15, 30, 60, 120, 300, 600, 1800, 3600)


def waits_since(due_at: datetime, tries: int) -> datetime:
    """When a mail first became due that has had so many tries and is due again at `due_at`; off by the seconds that the
    tries took."""
    return due_at - timedelta(seconds=sum(BACKOFF_SECONDS[:tries]))
