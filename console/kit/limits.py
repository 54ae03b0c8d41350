"""How often something may happen: a counter per fixed window in Django's cache, which is a table of Postgres.

Two requests at the same instant may be counted as one. That lets a few more through, and never too few.
"""

import hashlib
import time

from django.core.cache import cache


def hit(*parts: object, limit: int, seconds: int, events: int = 1) -> int:
    """Count `events` of what `parts` name, all or none. 0 while at most `limit` happened in this window of `seconds`;
    beyond it the whole seconds until the next window, at least 1. In a transaction that fails nothing is counted."""
    window, into = divmod(time.time(), seconds)
    name = hashlib.sha256(repr(parts).encode()).hexdigest()
    key = f"limit:{name}:{int(window)}"
    count = int(cache.get(key, 0)) + events
    if count > limit:
        return max(1, int(seconds - into))
    cache.set(key, count, timeout=seconds)
    return 0
