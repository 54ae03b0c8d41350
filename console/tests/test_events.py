"""The event stream on a real Redis: fan-out, slow readers, revoked rights, and a Redis that dies or freezes."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.urls import reverse

from console.celery import app
from console.kit import enqueue, events
from console.tests import services
from console.tests.real_events import real_events, until_subscribed  # noqa: F401 - a fixture
from console.tests.system.installation import wait_until


def test_every_listener_of_a_topic_gets_every_frame_and_others_none():
    async def run():
        async with contextlib.AsyncExitStack() as stack:
            mine = [await stack.enter_async_context(events.hub().subscribe("w:1")) for _ in range(50)]
            other = await stack.enter_async_context(events.hub().subscribe("w:2"))
            await until_subscribed()
            for n in range(3):
                await sync_to_async(events.publish)("w:1", [events.Frame("badge-1", f"<b>{n}</b>\n<i></i>")])
            for subscription in mine:
                got = [await asyncio.wait_for(subscription.queue.get(), 20) for _ in range(3)]
                assert got == [
                    f"event: badge-1\ndata: <b>{n}</b>\ndata: <i></i>\n\n".encode() for n in range(3)
                ]
            assert other.queue.empty()

    asyncio.run(run())


def test_a_slow_reader_gets_one_resync_in_place_of_what_it_missed():
    subscription = events.Subscription("w:1")

    async def run():
        for n in range(20):
            subscription.push(str(n).encode())
        drained = []
        while not subscription.queue.empty():
            drained.append(subscription.queue.get_nowait())
        return drained

    drained = asyncio.run(run())
    assert events.RESYNC in drained
    assert len(drained) <= events.QUEUE_LENGTH
    assert drained[-1] == b"19"


def test_an_end_is_never_lost_in_an_overflow():
    async def run():
        subscription = events.Subscription("w:1")
        for n in range(events.QUEUE_LENGTH):
            subscription.push(str(n).encode())
        subscription.push(None)
        for n in range(20):
            subscription.push(str(n).encode())
        drained = []
        while not subscription.queue.empty():
            drained.append(subscription.queue.get_nowait())
        return drained

    assert asyncio.run(run())[0] is None


def test_what_was_dropped_is_made_good_by_a_resync_soon(settings):
    settings.PROCESS_ROLE = "worker"

    async def run():
        async with events.hub().subscribe("w:1") as subscription:
            await until_subscribed()
            events.breaker.trip()
            assert not await sync_to_async(events.publish)("w:1", [events.Frame("badge-1", "lost")])
            assert await asyncio.wait_for(subscription.queue.get(), 20) == events.RESYNC

    asyncio.run(run())


@pytest.mark.parametrize(
    "message",
    ["", "not json", "5", "[1]", '[["only one"]]', "[[1, 2, 3]]", '{"a": 1}', b"\xff\xfe", "[" * 100_000],
)
def test_a_message_that_is_none_is_left_out_and_its_pages_ask_anew(message):
    async def run():
        async with events.hub().subscribe("w:1") as mine:
            await until_subscribed()
            await sync_to_async(events._redis().publish)(f"{events.PREFIX}w:1", message)
            await sync_to_async(events.publish)("w:1", [events.Frame("badge-1", "<b></b>")])
            got = [await asyncio.wait_for(mine.queue.get(), 20) for _ in range(2)]
            assert got == [events.RESYNC, b"event: badge-1\ndata: <b></b>\n\n"]

    asyncio.run(run())


def test_the_hub_goes_on_whatever_breaks_in_it(monkeypatch):
    async def run():
        async with events.hub().subscribe("w:1") as mine:
            await until_subscribed()
            with monkeypatch.context() as broken:
                broken.setattr(events.Hub, "_dispatch", lambda hub, message: 1 / 0)
                await sync_to_async(events.publish)("w:1", [events.Frame("lost")])
                # It began anew, and told everybody to ask.
                assert await asyncio.wait_for(mine.queue.get(), 20) == events.RESYNC
            await until_subscribed()

    asyncio.run(run())


@pytest.mark.thorough
def test_an_entry_that_is_no_message_does_not_end_a_worker(tmp_path):
    queue, client = f"test-{uuid4().hex}", events._redis()
    celery = (
        "-m",
        "celery",
        "--quiet",
        "--app=console.celery:app",
        "worker",
        "--pool=solo",
        f"--queues={queue}",
    )
    flags = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    with (tmp_path / "worker.log").open("w") as log:
        worker = subprocess.Popen(
            [sys.executable, *celery, *flags],
            env={**os.environ, "PROCESS_ROLE": "worker"},
            stdout=log,
            stderr=log,
        )

    def taken() -> bool:
        assert worker.poll() is None, (tmp_path / "worker.log").read_text()
        return client.llen(queue) == 0

    try:
        envelope = {"body": "", "headers": {}, "properties": {"delivery_info": {}, "delivery_tag": "1"}}
        odd = ["not json", "5", "null", "[]", "{}", '{"properties": 1}', json.dumps(envelope), b"\xff"]
        odd += [
            json.dumps(
                {**envelope, "properties": {**envelope["properties"], "body_encoding": "base64"}, "body": "?"}
            )
        ]
        for entry in odd:
            client.lpush(queue, entry)
            wait_until(taken, 60, (tmp_path / "worker.log").read_text)
        # It still takes what is a message, and says so.
        app.send_task("nobody.knows", queue=queue)
        wait_until(taken, 20, (tmp_path / "worker.log").read_text)
        wait_until(lambda: "nobody.knows" in (tmp_path / "worker.log").read_text(), 20)
        assert worker.poll() is None
    finally:
        worker.kill()
        worker.wait()
        client.delete(queue)


def test_nobody_listens_after_everybody_left():
    async def run():
        async with events.hub().subscribe("w:1"):
            assert events.hub().count == 1
        assert events.hub().count == 0

    asyncio.run(run())


@pytest.fixture
def redis_again():
    """Whatever a test did to Redis, the next one finds it running."""
    yield
    if services.redis_process().poll() is not None:
        services.start_redis()


def test_after_redis_came_back_every_page_is_told_to_catch_up(redis_again):
    async def run():
        async with events.hub().subscribe("w:1") as subscription:
            await until_subscribed()
            await asyncio.to_thread(services.restart_redis)
            async with asyncio.timeout(20):
                while await subscription.queue.get() != events.RESYNC:
                    pass
            await until_subscribed()
            await sync_to_async(events.publish)("w:1", [events.Frame("after")])
            assert await asyncio.wait_for(subscription.queue.get(), 20) == b"event: after\ndata: \n\n"

    asyncio.run(run())


@pytest.fixture
def frozen_redis():
    process = services.redis_process()
    process.send_signal(signal.SIGSTOP)
    yield
    process.send_signal(signal.SIGCONT)


@pytest.fixture
def tries(monkeypatch) -> list[str]:
    """What was tried with Redis."""
    found: list[str] = []
    submit, connected = enqueue._sender.submit, events._redis
    monkeypatch.setattr(enqueue._sender, "submit", lambda *of: found.append("hint") or submit(*of))
    monkeypatch.setattr(events, "_redis", lambda: found.append("event") or connected())
    return found


@pytest.mark.django_db(transaction=True)
def test_with_redis_frozen_a_submit_succeeds_within_a_second_and_a_half(
    as_, bob, workspace, cluster, tries, request
):
    from deployments.models import Deployment

    client = as_(bob)
    url = reverse("deployments:new", args=[workspace.pk])
    client.get(url)

    def submit(name: str):
        sent = {
            "idempotency_key": str(uuid4()), "name": name, "description": "", "runtime": "3.3-1",
            "cluster": str(cluster.pk), "executor": "local", "scheduler_au": "5", "scheduler_replicas": "1",
        }  # fmt: skip
        start = time.monotonic()
        return client.post(url, sent), time.monotonic() - start

    _, usual = submit("Reports")  # on a busy machine more than a moment, which is no fault of Redis
    tries.clear()
    request.getfixturevalue("frozen_redis")
    answer, seconds = submit("Analytics")
    assert answer.status_code == 303
    assert events.TIMEOUT_SECONDS < seconds < 1.5 + 2 * usual
    assert len(tries) == 1
    assert events.breaker.open
    assert client.get(answer["Location"]).status_code == 200
    client.post(reverse("deployments:retry", args=[Deployment.objects.get(name="Analytics").release_name]))
    assert len(tries) == 1  # the breaker is open: nobody waits again


@pytest.mark.django_db(transaction=True)
def test_with_redis_gone_nothing_is_known_to_wait(redis_again):
    queue = f"waits-{uuid4().hex}"
    app.send_task("a.pass", queue=queue)
    assert enqueue.waiting(queue) == 1
    services.stop_redis()  # under a connection that was made
    assert enqueue.waiting(queue) == 0
    assert enqueue.waiting(queue) == 0  # nobody waits again


def test_with_redis_gone_a_submit_succeeds(as_, bob, deployment, redis_again):
    client, url = as_(bob), reverse("deployments:retry", args=[deployment.release_name])
    start = time.monotonic()
    client.post(url)
    usual = time.monotonic() - start
    services.stop_redis()
    start = time.monotonic()
    assert client.post(url).status_code == 303
    assert time.monotonic() - start < 1.5 + 2 * usual
