"""Messages to workers. A hint is an id that may be lost or doubled; rows in Postgres say what is to be done."""

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol
from uuid import UUID

import structlog
from kombu.exceptions import OperationalError

from console.kit.events import TIMEOUT_SECONDS, breaker

logger = structlog.get_logger(__name__)

EXPIRES_SECONDS = 30

_sender = ThreadPoolExecutor(1, thread_name_prefix="hints")


class Task(Protocol):
    """A Celery task, as far as it matters here."""

    name: str

    def apply_async(self, *, args: tuple[str, ...], retry: bool, expires: int) -> object:
        """Send it."""


def send(task: Task, pk: UUID) -> bool:
    """Ask a worker to look at a row now. Never raises, never waits longer than TIMEOUT_SECONDS; False when the hint was
    dropped (a sweep finds the row)."""
    if breaker.open:
        return False
    try:
        # In a thread, because kombu may retry inside one publish: measured 1.0-4.6 s against a frozen Redis.
        _sender.submit(_send, task, str(pk)).result(timeout=TIMEOUT_SECONDS)
    except (OperationalError, OSError, TimeoutError) as error:
        breaker.trip()
        logger.warning("hint_dropped", kind=task.name, row=str(pk), error=type(error).__name__)
        return False
    return True


def _send(task: Task, pk: str) -> None:
    task.apply_async(args=(pk,), retry=False, expires=EXPIRES_SECONDS)
