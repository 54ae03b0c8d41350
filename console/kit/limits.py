"""How often something may happen: a counter per fixed window in Django's cache, which is a table of Postgres. However
many ask at the same instant, each is counted."""

import hashlib
import time

from django.core.cache import cache

from console.kit.alone import alone


def hit(*parts: object, limit: int, seconds: int, events: int = 1) -> int:
    """Count `events` of what `parts` name, all or none. 0 while at most `limit` happened in this window of `seconds`;
    beyond it the whole seconds until the next window, at least 1. In a transaction that fails nothing is counted."""
    window, into = divmod(time.time(), seconds)
    name = hashlib.sha256(repr(parts).encode()).hexdigest()
    key = f"limit:{name}:{int(window)}"
    too_many = max(1, int(seconds - into))
    if _counted(key) + events > limit:
        return too_many  # of a flood no request waits
    with alone(key):
        count = _counted(key) + events
        if count > limit:
            return too_many
        cache.set(key, count, timeout=seconds)
    return 0


def _counted(key: str) -> int:
    return int(cache.get(key, 0))
