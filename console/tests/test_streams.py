"""Streams of events to open pages: who may listen, for how long, and what arrives."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connections
from django.test import AsyncClient
from django.urls import reverse
from django.utils import timezone

from console.kit import events
from console.tests.real_events import real_events, until_subscribed  # noqa: F401 - a fixture
from workspaces import stream
from workspaces.actions import members
from workspaces.models import Membership


async def close_connections() -> None:
    await sync_to_async(connections.close_all)()


async def open_stream(user, workspace, since=""):
    client = AsyncClient()
    await client.aforce_login(user)
    query = {"since": since} if since else {}
    response = await client.get(reverse("deployments:stream", args=[workspace.pk]), query)
    assert response.status_code == 200
    assert response["Content-Type"] == "text/event-stream"
    return client, aiter(response.streaming_content)


@pytest.mark.django_db(transaction=True)
def test_a_page_that_is_up_to_date_is_not_told_to_catch_up(alice, workspace, deployment):
    from deployments.models import Deployment

    async def first_chunk(since):
        _, chunks = await open_stream(alice, workspace, since)
        try:
            return await asyncio.wait_for(anext(chunks), 20)
        finally:
            await chunks.aclose()
            await close_connections()

    now = timezone.now()
    Deployment.objects.update(changed_at=now - timezone.timedelta(minutes=1))
    assert asyncio.run(first_chunk(now.isoformat())) == events.PING
    Deployment.objects.update(changed_at=now)
    assert asyncio.run(first_chunk(now.isoformat())) == events.RESYNC
    odd = (
        "nonsense",
        "0001-01-01T00:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "９" * 9,
    )
    for text in odd:
        assert asyncio.run(first_chunk(text)) == events.RESYNC


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["removed", "demoted", "signed out", "disabled", "too old"])
def test_a_stream_ends_when_its_right_ends(alice, vera, workspace, how, monkeypatch):
    async def run():
        client, chunks = await open_stream(vera, workspace)
        await asyncio.wait_for(anext(chunks), 20)
        await stream.registry().check()
        assert await asyncio.wait_for(anext(chunks), 20) == events.PING  # still allowed
        if how == "removed":
            await Membership.objects.filter(user=vera).adelete()
        elif how == "demoted":
            await Membership.objects.filter(user=vera).aupdate(role="editor")  # any other role
        elif how == "signed out":
            await client.alogout()
        elif how == "disabled":
            await type(vera).objects.filter(pk=vera.pk).aupdate(is_active=False)
        else:
            for each in stream.registry().streams:
                each.ends_at = 0.0
        await stream.registry().check()
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(chunks), 20)
        assert stream.registry().streams == set()
        await close_connections()

    asyncio.run(run())


@pytest.mark.django_db(transaction=True)
def test_an_action_ends_the_stream_within_15_s_without_being_asked(alice, vera, workspace, monkeypatch):
    assert stream.PING_SECONDS < 14
    monkeypatch.setattr(stream, "PING_SECONDS", 0.1)

    async def run():
        _, chunks = await open_stream(vera, workspace)
        await asyncio.wait_for(anext(chunks), 20)
        await sync_to_async(members.remove)(workspace=workspace, by=alice, user_id=vera.pk)
        async with asyncio.timeout(20):
            assert {chunk async for chunk in chunks} <= {events.PING}
        await close_connections()

    asyncio.run(run())


@pytest.mark.django_db(transaction=True)
def test_a_database_that_does_not_answer_ends_the_streams_and_not_the_watch(vera, workspace, monkeypatch):
    def away(desired):
        raise OperationalError("the connection is lost")

    async def run():
        _, chunks = await open_stream(vera, workspace)
        await asyncio.wait_for(anext(chunks), 20)
        with monkeypatch.context() as broken:
            broken.setattr(stream, "still_allowed", away)
            await stream.registry().check()
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(chunks), 20)
        await close_connections()

    asyncio.run(run())


@pytest.mark.django_db(transaction=True)
def test_one_person_cannot_open_streams_without_end(vera, workspace, monkeypatch):
    monkeypatch.setattr(stream, "STREAMS_PER_PERSON", 2)

    async def run():
        opened = [await open_stream(vera, workspace) for _ in range(2)]
        for _, chunks in opened:
            await anext(chunks)
        client, _ = opened[0]
        refused = await client.get(reverse("deployments:stream", args=[workspace.pk]))
        assert refused.status_code == 429
        assert refused["Retry-After"] == "30"
        for _, chunks in opened:
            await chunks.aclose()
        await close_connections()

    asyncio.run(run())


@pytest.mark.django_db(transaction=True)
def test_a_recorded_change_reaches_an_open_page_rendered(vera, workspace, deployment, driver):
    from deployments.reconciler.reconcile import reconcile

    async def run():
        _, chunks = await open_stream(vera, workspace)
        await anext(chunks)
        await until_subscribed()
        await sync_to_async(reconcile)(deployment.pk)
        async with asyncio.timeout(20):
            chunk = await anext(chunks)
        await chunks.aclose()
        await close_connections()
        return chunk.decode()

    chunk = asyncio.run(run())
    assert f"event: badge-{deployment.pk}\n" in chunk
    assert f"event: live-{deployment.pk}\n" in chunk
    assert "Creating" in chunk
    assert "Database" in chunk
