"""Operations: what they tell, and waiting for one by the events that open pages get, without a thread."""

import asyncio
import threading
import time
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient
from django.utils import timezone

from console.kit import events
from console.kit.events import RESYNC, Subscription
from deployments.api import logs, waiting
from deployments.dataplane.contract import LogLine, LogTail
from deployments.models import Deployment
from deployments.presenters import fragments
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.actions import tokens
from workspaces.actions.tokens import Scope


def test_an_operation_tells_the_steps_of_its_page(program, alice, deployment, driver):
    made = program(alice)
    path = f"/operations/{deployment.release_name}.create.1"
    assert made.get(path)["status"] == "running"
    settle(deployment)
    found = made.get(path)
    assert (found["status"], found["kind"], found["deployment_status"]) == ("done", "create", "healthy")
    assert [step["state"] for step in found["steps"]] == ["done"] * 3
    assert {step["sentence"] for step in found["steps"]} == {
        ""
    }  # as on the page: nothing is waited for any more


def test_a_change_is_done_once_it_is_applied_and_a_later_delete_takes_its_place(
    program, alice, deployment, driver
):
    settle(deployment)
    made = program(alice)
    path = f"/deployments/{deployment.release_name}"
    first = made.ask("patch", path, {"scheduler_au": 6}).json()["operation"]["id"]
    assert made.get(f"/operations/{first}")["status"] == "running"
    settle(deployment)
    assert made.get(f"/operations/{first}")["status"] == "done"
    second = made.ask("post", f"{path}/hibernate").json()["operation"]["id"]
    gone = made.ask("delete", path).json()["operation"]["id"]
    assert made.get(f"/operations/{second}")["status"] == "superseded"
    assert made.get(f"/operations/{gone}")["status"] == "running"
    settle(deployment)
    assert made.get(f"/operations/{gone}")["status"] == "done"


def test_of_what_is_done_no_step_runs_any_more(program, alice, deployment, driver):
    """The pass that sees a Deployment awake writes no steps: the last one said that it runs, for ever."""
    settle(deployment)
    made = program(alice)
    for verb in ("hibernate", "wake"):
        asked = made.ask("post", f"/deployments/{deployment.release_name}/{verb}").json()["operation"]["id"]
        settle(deployment)
        found = made.get(f"/operations/{asked}")
        assert found["status"] == "done"
        assert {step["state"] for step in found["steps"]} == {"done"}, verb
        assert all(step["finished_at"] for step in found["steps"])


def test_an_upgrade_that_failed_is_a_failed_operation(program, alice, deployment, driver):
    settle(deployment)
    Deployment.objects.update(generation=2, upgrade_error="Upgrade to 3.3-1 failed: no room.")
    found = program(alice).get(f"/operations/{deployment.release_name}.upgrade.2")
    assert (found["status"], found["sentence"]) == ("failed", "Upgrade to 3.3-1 failed: no room.")


@pytest.mark.parametrize(
    "name", ["{0}.change.9", "{0}.create.x", "{0}.dance.1", "{0}", "{0}.deploy.1", "{0}.change.0"]
)
def test_what_never_was_an_operation_is_not_there(program, alice, deployment, name):
    program(alice).get(f"/operations/{name.format(deployment.release_name)}", status=404)


class PlayedHub:
    """The hub of events without Redis."""

    def __init__(self) -> None:
        self.subscriptions: list[Subscription] = []

    @asynccontextmanager
    async def subscribe(self, topic, *, about=b""):
        subscription = Subscription(topic, about)
        self.subscriptions.append(subscription)
        yield subscription


@pytest.fixture
def played(monkeypatch) -> PlayedHub:
    played = PlayedHub()
    monkeypatch.setattr(waiting, "hub", lambda: played)
    return played


async def get(value: str, path: str, **headers):
    sent = {name.replace("_", "-"): each for name, each in headers.items()}
    try:
        return await AsyncClient().get(f"/api/v1{path}", headers={"Authorization": f"Bearer {value}", **sent})
    finally:
        await sync_to_async(connections.close_all)()


@pytest.mark.django_db(transaction=True)
def test_who_waits_is_told_by_the_event_and_holds_no_thread(
    program, alice, deployment, driver, played, workspace, monkeypatch
):
    monkeypatch.setattr(waiting, "LOOK_AGAIN", 1000.0)  # no look but for an event, until the wait is over
    made, before = program(alice), threading.active_count()  # others of this process, too
    path = f"/operations/{deployment.release_name}.create.1?wait=30"

    async def story():
        waiters = [asyncio.create_task(get(made.value, path)) for _ in range(20)]
        async with asyncio.timeout(20):
            while len(played.subscriptions) < 20:  # noqa: ASYNC110 - a list, with a deadline
                await asyncio.sleep(0.05)
        threads = threading.active_count()
        await sync_to_async(settle)(deployment)
        assert {each.topic for each in played.subscriptions} == {f"w:{workspace.pk}"}
        for each in played.subscriptions:
            each.push(RESYNC)
        began = time.monotonic()
        answers = await asyncio.gather(*waiters)
        return threads, time.monotonic() - began, answers

    threads, seconds, answers = asyncio.run(story())
    assert {answer.json()["status"] for answer in answers} == {"done"}
    assert seconds < 20  # by the event, and not since the wait was over
    assert threads - before < 20


def test_a_program_that_waits_hears_of_its_own_deployment_and_of_what_was_missed():
    mine, other = Subscription("w:1", b"1f0e"), events.encode(events.Frame("badge-77aa", "<i>1</i>"))
    mine.push(other)
    assert mine.queue.empty()
    mine.push(events.encode(events.Frame("badge-1f0e", "<i>1</i>")))
    mine.push(RESYNC)
    assert mine.queue.qsize() == 2
    mine.push(None)
    assert mine.ended


@pytest.mark.django_db(transaction=True)
def test_changes_of_other_deployments_cost_who_waits_no_look(
    program, alice, deployment, driver, played, monkeypatch
):
    looks = []
    look = waiting._look
    monkeypatch.setattr(waiting, "_look", lambda named: looks.append(named) or look(named))
    monkeypatch.setattr(waiting, "LOOK_AGAIN", 1000.0)  # else one may fall just between two counts
    made = program(alice)
    path = f"/operations/{deployment.release_name}.create.1?wait=30"

    async def story():
        waiter = asyncio.create_task(get(made.value, path))
        async with asyncio.timeout(20):
            while not (played.subscriptions and looks):  # noqa: ASYNC110 - lists, with a deadline
                await asyncio.sleep(0.05)
            (mine,) = played.subscriptions
            assert mine.about == str(deployment.pk).encode()
            before = len(looks)
            for _ in range(20):
                mine.push(events.encode(events.Frame(f"badge-{uuid4()}", "<i>1</i>")))
            assert mine.queue.empty()
            await asyncio.sleep(0)
            assert len(looks) == before
            await sync_to_async(settle)(deployment)
            for frame in await sync_to_async(fragments.frames)(deployment):
                mine.push(events.encode(frame))
            return await waiter

    assert asyncio.run(story()).json()["status"] == "done"


@pytest.mark.django_db(transaction=True)
def test_all_who_wait_for_one_operation_share_a_look(program, alice, deployment, driver, played, monkeypatch):
    looks = []
    look = waiting._look
    monkeypatch.setattr(waiting, "_look", lambda named: looks.append(named) or look(named))
    made = program(alice)
    path = f"/operations/{deployment.release_name}.create.1?wait=30"

    with monkeypatch.context() as full:
        full.setattr(waiting, "MOST_WAITING", 0)
        assert asyncio.run(get(made.value, path)).status_code == 429

    async def story():
        waiters = [asyncio.create_task(get(made.value, path)) for _ in range(10)]
        async with asyncio.timeout(20):
            while len(played.subscriptions) < 10 or waiting._looks:  # noqa: ASYNC110 - a list, with a deadline
                await asyncio.sleep(0.05)
        await sync_to_async(settle)(deployment)
        looks.clear()
        for each in played.subscriptions:
            each.push(RESYNC)
        return await asyncio.gather(*waiters)

    assert {answer.status_code for answer in asyncio.run(story())} == {200}
    assert len(looks) <= 3  # ten would look ten times, each for itself
    assert waiting._waiting == {}
    assert waiting._looks == {}


@pytest.mark.django_db(transaction=True)
def test_a_lost_event_and_the_end_of_the_wait_are_survived(
    program, alice, deployment, driver, played, monkeypatch
):
    monkeypatch.setattr(waiting, "LOOK_AGAIN", 0.1)
    made = program(alice)
    path = f"/operations/{deployment.release_name}.create.1"
    weak = f"W/{asyncio.run(get(made.value, path))['ETag']}"  # as a proxy makes it that compresses
    began = time.monotonic()
    still = asyncio.run(get(made.value, f"{path}?wait=1", If_None_Match=weak))
    assert still.json()["status"] == "running"
    assert time.monotonic() - began >= 1
    known = still["ETag"]
    Deployment.objects.update(status_reason="Something new.", changed_at=timezone.now())
    news = asyncio.run(get(made.value, f"{path}?wait=30", If_None_Match=known))
    assert news.json()["sentence"] == "Something new."
    settle(deployment)
    assert asyncio.run(get(made.value, f"{path}?wait=30")).json()["status"] == "done"
    assert asyncio.run(get(made.value, f"{path}?wait=31")).status_code == 422


class Logs:
    """A data plane's log that grows."""

    def __init__(self) -> None:
        self.lines = ["2026-11-28T10:00:00Z [info] begins", "2026-11-28T10:00:01Z [error] breaks"]

    def __call__(self, ref, component, *, lines, after=""):
        start = int(after or 0)
        found = tuple(LogLine(text=text, source=component) for text in self.lines[start:][-lines:])
        return LogTail(found, str(len(self.lines)))


@pytest.fixture
def log(deployment, driver, monkeypatch) -> Logs:
    settle(deployment)
    log = Logs()
    monkeypatch.setattr(driver, "logs", log)
    return log


@pytest.mark.django_db(transaction=True)
def test_a_log_is_lines_of_json(program, alice, deployment, log):
    made = program(alice)
    path = f"/deployments/{deployment.release_name}/logs"

    async def read(query):
        answer = await get(made.value, f"{path}{query}")
        return [chunk async for chunk in answer.streaming_content], answer

    chunks, answer = asyncio.run(read("?component=scheduler&level=error"))
    assert answer["Content-Type"] == "application/x-ndjson"
    assert b"".join(chunks) == (
        b'{"time": "2026-11-28T10:00:01Z", "level": "error", "component": "scheduler", "source": "scheduler", '
        b'"text": "breaks"}\n'
    )
    for query in ("?component=cellar", "?level=loud", "?since=then", "?lines=0", "?lines=10001"):
        assert asyncio.run(get(made.value, f"{path}{query}")).status_code == 422


@pytest.mark.django_db(transaction=True)
def test_a_log_is_followed_until_the_token_is_revoked(
    program, alice, deployment, workspace, log, monkeypatch
):
    monkeypatch.setattr(logs, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(logs, "CHECK_SECONDS", 0.2)
    made = program(alice)

    async def story():
        answer = await get(
            made.value, f"/deployments/{deployment.release_name}/logs?follow=true&component=scheduler"
        )
        chunks = aiter(answer.streaming_content)
        first = await anext(chunks)
        log.lines.append("2026-11-28T10:00:02Z [info] continues")
        while b"continues" not in (chunk := await anext(chunks)):
            assert chunk == b"\n"
        await sync_to_async(tokens.revoke)(scope=Scope(workspace), by=alice, pk=made.token.pk)
        async with asyncio.timeout(10):
            async for _ in chunks:
                pass
        await sync_to_async(connections.close_all)()
        return first

    assert asyncio.run(story()).count(b"\n") == 2
