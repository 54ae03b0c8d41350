"""Events that really go through Redis, for tests: elsewhere they are caught (conftest.py)."""

import asyncio

import pytest
from asgiref.sync import sync_to_async

from console.kit import events
from deployments import enqueue

REAL_PUBLISH = events.publish
REAL_RECONCILE = enqueue.reconcile


@pytest.fixture(autouse=True)
def real_events(monkeypatch):
    monkeypatch.setattr(events, "publish", REAL_PUBLISH)
    monkeypatch.setattr(enqueue, "reconcile", REAL_RECONCILE)
    events.breaker.reset()
    yield
    events.breaker.reset()


async def until_subscribed() -> None:
    """Wait until the hub's own subscription works: a probe comes through."""
    async with events.hub().subscribe("probe") as probe:
        async with asyncio.timeout(30):
            while probe.queue.empty():
                events.breaker.reset()  # a machine that holds one call up for TIMEOUT_SECONDS closes it for ten
                await sync_to_async(events.publish)("probe", [events.Frame("probe")])
                await asyncio.sleep(0.02)
