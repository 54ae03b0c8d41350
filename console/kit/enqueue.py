"""Messages to workers. A hint is an id that may be lost or doubled; rows in Postgres say what is to be done."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any
from uuid import UUID

import structlog
from celery import current_app
from kombu.exceptions import ChannelError, OperationalError
from redis.exceptions import RedisError

from console.kit import metrics
from console.kit.events import TIMEOUT_SECONDS, breaker

logger = structlog.get_logger(__name__)

EXPIRES_SECONDS = 30

_sender = ThreadPoolExecutor(1, thread_name_prefix="enqueue")


def send(task: str, pk: UUID) -> bool:
    """Ask a worker to run the task of this name for a row now. Never raises, never waits longer than TIMEOUT_SECONDS;
    False when the message was dropped (a sweep finds the row)."""
    if breaker.open:
        metrics.HINTS_DROPPED.add(task)
        return False
    try:
        # In a thread, because kombu may retry inside one publish: measured 1.0-4.6 s against a frozen Redis.
        # With our context: the message carries the id of the request, which the worker's log lines then have too.
        sending = _sender.submit(copy_context().run, _send, task, str(pk))
        sending.result(timeout=TIMEOUT_SECONDS)
    except (OperationalError, OSError, TimeoutError) as error:
        breaker.trip()
        metrics.HINTS_DROPPED.add(task)
        logger.warning("hint_dropped", kind=task, row=str(pk), error=type(error).__name__)
        return False
    return True


def waiting(queue: str) -> int:
    """How many messages wait in a queue. Never raises, never waits longer than TIMEOUT_SECONDS; 0 when the broker does
    not say."""
    if breaker.open:
        return 0
    try:
        return _sender.submit(_waiting, queue).result(timeout=TIMEOUT_SECONDS)
    except (OperationalError, OSError, TimeoutError, RedisError):  # of kombu, and what it lets through
        breaker.trip()
        return 0


def _waiting(queue: str) -> int:
    with current_app.producer_pool.acquire(block=True) as producer:
        channel: Any = producer.channel
        try:
            return int(channel.queue_declare(queue=queue, passive=True).message_count)
        except ChannelError:  # there is no such queue while it is empty
            return 0


def _send(task: str, pk: str) -> None:
    current_app.send_task(task, args=(pk,), retry=False, expires=EXPIRES_SECONDS)
