"""A limit counts each of those who ask at the same instant."""

import threading
from contextlib import suppress
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.db import connections

from console.kit import limits

pytestmark = pytest.mark.django_db(transaction=True)
MANY, LIMIT = 6, 3


def at_once(count: int, act) -> list[int]:
    """What each of so many threads got, all of them begun together."""
    found, begin = [], threading.Barrier(count)

    def run() -> None:
        try:
            begin.wait(10)
            found.append(act())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


def test_of_those_who_ask_at_the_same_instant_as_many_pass_as_may(monkeypatch):
    cache.clear()
    monkeypatch.setattr(limits.time, "time", lambda: 1_800_000_000.0)
    together = threading.Barrier(MANY)

    def held(*arguments, **more):
        """Write once all have read, as far as they are let to: who waits for a lock does not come."""
        with suppress(threading.BrokenBarrierError):
            together.wait(0.5)
        cache.set(*arguments, **more)

    monkeypatch.setattr(limits, "cache", SimpleNamespace(get=cache.get, set=held))
    found = at_once(MANY, lambda: limits.hit("mail", 1, limit=LIMIT, seconds=60))
    assert len(found) == MANY
    assert found.count(0) == LIMIT


def test_a_flood_beyond_the_limit_waits_for_nobody(monkeypatch, django_assert_num_queries):
    cache.clear()
    monkeypatch.setattr(limits.time, "time", lambda: 1_800_000_000.0)
    assert limits.hit("mail", 1, limit=1, seconds=60) == 0
    with django_assert_num_queries(1):
        assert limits.hit("mail", 1, limit=1, seconds=60) == 60
