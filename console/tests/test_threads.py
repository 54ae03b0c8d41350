"""Long-lived requests share a few threads; the blocking parts of one still run on one thread."""

import asyncio
import threading

from asgiref.sync import ThreadSensitiveContext, sync_to_async

from console.kit.threads import THREADS, SharedThreads


class LikeDjango:
    """Runs two blocking parts as Django runs middleware, and waits for the others in between."""

    def __init__(self, requests: int) -> None:
        self.seen: list[tuple[int, int]] = []
        self.all_here = asyncio.Barrier(requests)

    async def __call__(self, scope, receive, send) -> None:
        async with ThreadSensitiveContext():
            first = await sync_to_async(threading.get_ident)()
            await asyncio.wait_for(self.all_here.wait(), 30)
            self.seen.append((first, await sync_to_async(threading.get_ident)()))


async def answer(requests: int, path: str) -> LikeDjango:
    django = LikeDjango(requests)
    app = SharedThreads(django, is_long=lambda path: path.endswith("/stream/"))
    await asyncio.gather(*(app({"type": "http", "path": path}, None, None) for _ in range(requests)))
    return django


async def test_open_streams_share_a_few_threads() -> None:
    django = await answer(40, "/w/1/stream/")
    assert len({first for first, _ in django.seen}) == THREADS


async def test_each_stream_keeps_to_one_thread() -> None:
    django = await answer(40, "/w/1/stream/")
    assert len(django.seen) == 40
    assert all(first == second for first, second in django.seen)


async def test_pages_at_once_have_threads_of_their_own() -> None:
    django = await answer(10, "/w/1/deployments/")
    assert len({first for first, _ in django.seen}) == 10
