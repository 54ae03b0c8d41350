"""Looking at an operation, and waiting for it without holding a thread: the same events that open pages get wake it."""

import asyncio
import contextlib
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import connection
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Router
from ninja.params.functions import Query

from console.kit.events import Subscription, hub
from console.kit.http_json import etag, names_tag
from deployments.api import operations
from deployments.api.access import deployment_of
from deployments.api.operations import OperationId
from deployments.api.schemas import OperationOut
from deployments.models import Deployment
from workspaces.api.auth import Anyone, ApiRequest, TooManyRequests, path_argument
from workspaces.permissions import Permission
from workspaces.token_access import Caller

router = Router(tags=["Operations"])
LONGEST_WAIT = 30.0
MOST_WAITING = 200  # of one token in one process
GATHER = 0.02
LOOK_AGAIN = 5.0  # when no event came: one may have been lost. All who wait for the same one look at once.


class Seen(NamedTuple):
    """What a look saw. The tag is made once, however many share the look."""

    operation: OperationOut
    tag: str


def _seen(operation: OperationOut) -> Seen:
    return Seen(operation, etag(operation.model_dump(mode="json")))


class OnOperation(Anyone):
    """One operation, named by `operation_id` in the address; also of a Deployment that is gone."""

    permission = Permission.VIEW

    def load(self, request: HttpRequest, caller: Caller) -> None:
        """The Deployment that it is of. Who does not wait gets the operation here; who waits shares a look at it with
        the others, so that only what decides about the right is read for each of them."""
        named = OperationId.read(path_argument(request, "operation_id"))
        waits = request.GET.get("wait", "0") != "0"
        rows = Deployment.objects.only("workspace", "deleted_at") if waits else _rows()
        deployment = _deployment(caller, named, rows)
        membership = caller.membership_in(deployment.workspace_id)
        caller.require(membership, Permission.VIEW)
        request.named = named  # type: ignore[attr-defined]
        request.deployment = deployment  # type: ignore[attr-defined]
        if waits and request.resolver_match is not None:
            request.resolver_match.tried = (
                None  # for Django's debug pages alone, and 7 KiB for as long as one waits
            )
        request.found = None if waits else _seen(operations.operation(deployment, named))  # type: ignore[attr-defined]


def _rows() -> QuerySet[Deployment]:
    """With what an operation tells of its Deployment."""
    return Deployment.objects.select_related("workspace", "cluster", "runtime")


def _deployment(caller: Caller, named: OperationId, rows: QuerySet[Deployment]) -> Deployment:
    """A token of one Deployment may see how its deletion ends."""
    if named.kind == "delete" and caller.content_id is not None:
        gone = rows.filter(
            pk=caller.content_id, release_name=named.release_name, workspace=caller.token.workspace_id
        )
        if (found := gone.first()) is not None:
            return found
    return deployment_of(caller, named.release_name, alive=False, rows=rows)


class OperationRequest(ApiRequest):
    """For type checkers."""

    named: OperationId
    deployment: Deployment
    found: Seen | None


@router.get(
    "/operations/{operation_id}",
    auth=OnOperation(is_async=True),
    response=OperationOut,
    url_name="operation",
    operation_id="get_operation",
)
async def operation(
    request: OperationRequest,
    operation_id: str,
    response: HttpResponse,
    wait: int = Query(0, ge=0, le=int(LONGEST_WAIT), description="Seconds to wait for its end."),
) -> OperationOut:
    """How far an operation is. With `wait` the answer comes once it is no longer running, or that many seconds
    later. With the ETag of an earlier answer in If-None-Match it comes as soon as anything differs from that one."""
    known = request.headers.get("If-None-Match", "")

    def is_news(each: Seen) -> bool:
        return each.operation.status != "running" or (bool(known) and not names_tag(known, each.tag))

    found = request.found
    if found is None:
        of = request.deployment
        topic, about = f"w:{of.workspace_id}", str(of.pk).encode()  # as the names of its frames end
        async with _place(request.caller), hub().subscribe(topic, about=about) as subscription:
            found = await _until(is_news, request.named, subscription, time.monotonic() + wait)
    response["ETag"] = found.tag
    return found.operation


async def _until(
    is_news: Callable[[Seen], bool], named: OperationId, subscription: Subscription, deadline: float
) -> Seen:
    """Look now that it is listened for changes, then after each event, until there is news or time is up."""
    phase = zlib.crc32(str(named).encode()) % 1000 / 1000 * LOOK_AGAIN
    while True:
        found = await _look_together(named)
        now = time.monotonic()
        if is_news(found) or now >= deadline:
            return found
        again = now + LOOK_AGAIN - (now - phase) % LOOK_AGAIN
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(deadline, again) - now):
                await subscription.queue.get()
        while not subscription.queue.empty():  # one look for however many events
            subscription.queue.get_nowait()


_waiting: Counter[UUID] = Counter()  # by token, in this process


@contextlib.asynccontextmanager
async def _place(caller: Caller) -> AsyncIterator[None]:
    """One of the places in which a token may wait. Raises TooManyRequests when all are taken."""
    token = caller.token.pk
    if _waiting[token] >= MOST_WAITING:
        raise TooManyRequests(LOOK_AGAIN)
    _waiting[token] += 1
    try:
        yield
    finally:
        _waiting[token] -= 1
        if not _waiting[token]:
            del _waiting[token]


_looks: dict[tuple[int, str], asyncio.Task[Seen]] = {}  # of each event loop


async def _look_together(named: OperationId) -> Seen:
    """One look for all who wait for the same operation: a waiter that asks within GATHER of the first shares it. It
    begins only after that, so none gets what was so before it asked."""
    key = id(asyncio.get_running_loop()), str(named)
    if key not in _looks:
        _looks[key] = asyncio.create_task(_gathered(key, named))
    return await asyncio.shield(_looks[key])


async def _gathered(key: tuple[int, str], named: OperationId) -> Seen:
    await asyncio.sleep(GATHER)
    del _looks[key]
    return await sync_to_async(_look, thread_sensitive=False)(named)


def _look(named: OperationId) -> Seen:
    """Who waits was let in when they came. Raises Http404 when the Deployment is no more."""
    try:
        found = _rows().filter(release_name=named.release_name).first()
        if found is None:
            raise Http404
        return _seen(operations.operation(found, named))
    finally:
        if not connection.in_atomic_block:
            connection.close()
