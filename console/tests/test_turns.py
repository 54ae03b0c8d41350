"""How many pages a web process makes at a time, and who waits for whom."""

import asyncio
import threading
import time

import pytest
from asgiref.sync import ThreadSensitiveContext, markcoroutinefunction, sync_to_async
from django.http import HttpResponse
from django.test import RequestFactory

from console.kit import turns
from console.kit.turns import TooBusy, TurnMiddleware, outside


@pytest.fixture(autouse=True)
def _two_at_once(settings, monkeypatch):
    settings.PAGES_AT_ONCE = 2
    monkeypatch.setattr(turns, "_of_loop", {})


class Pages:
    """Views that say how many of them run."""

    def __init__(self, wait_outside: bool = False) -> None:
        self.running = self.most = 0
        self.order: list[str] = []
        self.wait_outside = wait_outside
        self.lock = threading.Lock()
        self.go_on = threading.Event()
        markcoroutinefunction(self)

    async def __call__(self, request):
        self.order.append(request.path)
        return await sync_to_async(self.view)(request)

    def view(self, request):
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        if self.wait_outside:
            with outside():
                self.go_on.wait(10)
        else:
            time.sleep(0.02)
        with self.lock:
            self.running -= 1
        return HttpResponse("ok")


async def ask(middleware: TurnMiddleware, path: str) -> HttpResponse:
    async with ThreadSensitiveContext():
        return await middleware(RequestFactory().get(path))


async def test_no_more_than_so_many_run_and_the_first_come_goes_first():
    pages = Pages()
    middleware = TurnMiddleware(pages)
    answers = await asyncio.gather(*(ask(middleware, f"/{n}/") for n in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert pages.most == 2
    assert pages.order == [f"/{n}/" for n in range(20)]


async def test_who_waits_for_somebody_else_keeps_nobody_waiting():
    slow, quick = Pages(wait_outside=True), Pages()
    waiting = [asyncio.create_task(ask(TurnMiddleware(slow), f"/slow/{n}/")) for n in range(5)]
    async with asyncio.timeout(10):
        while slow.running < 5:  # noqa: ASYNC110 - counted by threads
            await asyncio.sleep(0.01)
        await asyncio.gather(*(ask(TurnMiddleware(quick), f"/{n}/") for n in range(6)))
    slow.go_on.set()
    await asyncio.gather(*waiting)
    assert quick.most == 2
    assert turns._turns()._value == 2  # every turn was given back once


async def test_a_stream_takes_no_turn():
    pages = Pages()
    middleware = TurnMiddleware(pages)
    await asyncio.gather(*(ask(middleware, f"/w/{n}/stream/") for n in range(10)))
    assert pages.most > 2


async def test_a_browser_that_leaves_gives_its_turn_back():
    slow = Pages(wait_outside=False)
    left = [asyncio.create_task(ask(TurnMiddleware(slow), f"/{n}/")) for n in range(6)]
    await asyncio.sleep(0.005)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    assert turns._turns()._value == 2
    assert (await ask(TurnMiddleware(slow), "/next/")).status_code == 200


async def test_whoever_gets_no_turn_is_told_to_come_back(monkeypatch):
    monkeypatch.setattr(turns, "WAIT_SECONDS", 0.1)
    for _ in range(2):
        await turns._turns().acquire()
    with pytest.raises(TooBusy):
        await ask(TurnMiddleware(Pages()), "/")


@pytest.mark.django_db
def test_the_page_says_so(client, monkeypatch):
    def busy(request):
        raise TooBusy

    client.raise_request_exception = False
    monkeypatch.setattr("console.health.HealthMiddleware.__call__", lambda self, request: busy(request))
    answer = client.get("/accounts/login/")
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert "The console is busy" in answer.content.decode()


def test_outside_of_a_request_nothing_is_given_away():
    with outside():
        pass
