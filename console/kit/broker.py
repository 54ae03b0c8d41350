"""Celery's way through Redis, for which a message that cannot be read is no reason to end."""

from typing import Any

import structlog
from kombu.transport import TRANSPORT_ALIASES, redis
from kombu.transport.virtual import Empty

logger = structlog.get_logger(__name__)


class Channel(redis.Channel):
    """kombu's, which would let an entry that is no message end the worker."""

    def _brpop_read(self, **options: Any) -> Any:
        """Read one entry; what cannot be read is gone from the queue by then, and is left out. Hints are made up for by
        the sweep."""
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # kombu ships no types for it
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            logger.error("message_unreadable", error=type(error).__name__)
            raise Empty from None


class Transport(redis.Transport):
    """kombu's Redis with that channel."""

    Channel = Channel


def install() -> None:
    """Make this the transport behind `redis://`, `rediss://` and `redis+socket://`."""
    TRANSPORT_ALIASES["redis"] = TRANSPORT_ALIASES["rediss"] = f"{__name__}:Transport"
