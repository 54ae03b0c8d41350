"""How often a program may ask: a bucket of requests per key that fills steadily, in this process.

In memory, because a counter in Postgres would cost more than the request that it counts. With several web processes
each has buckets of its own, so the limit is per process.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

KEYS = 10_000  # the buckets used least recently are forgotten: full ones, in all likelihood


@dataclass(frozen=True)
class Rate:
    """`per_second` on average, and `burst` at once."""

    per_second: float
    burst: int


class Buckets:
    """The buckets of one process."""

    def __init__(self) -> None:
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: Hashable, rate: Rate) -> float:
        """Take one request from the bucket of `key`: 0 when there was one, else the seconds until there is."""
        now = time.monotonic()
        with self._lock:
            level, since = self._levels.pop(key, (float(rate.burst), now))
            level = min(float(rate.burst), level + (now - since) * rate.per_second)
            allowed = level >= 1.0
            self._levels[key] = (level - 1.0 if allowed else level, now)
            if len(self._levels) > KEYS:
                self._levels.popitem(last=False)
        return 0.0 if allowed else (1.0 - level) / rate.per_second

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._levels.clear()
