"""Requests that are never sent to their end, and requests that take their time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import uvicorn
from uvicorn.main import main as uvicorn_command

from console import processes
from console.kit import slow_requests
from console.kit.threads import SharedThreads
from workspaces import acting

SECONDS = 0.5


class Patient(slow_requests.Protocol):
    seconds = SECONDS


async def app(scope, receive, send) -> None:
    """Reads a body, takes longer than the limit, and answers with its length."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    await asyncio.sleep(1.25 * Patient.seconds)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": str(size).encode()})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    inner = SharedThreads(app, is_long=lambda path: False)
    config = uvicorn.Config(inner, port=0, http=Patient, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n"])
async def test_a_head_that_never_ends_is_answered_408_and_ended(port, sent) -> None:
    async with connected(port) as (reader, writer):
        writer.write(sent)
        answer = await asyncio.wait_for(reader.read(), 60 * SECONDS)
        assert answer.startswith(b"HTTP/1.1 408")


async def test_a_head_that_drips_is_ended_all_the_same(port) -> None:
    async with connected(port) as (reader, writer):
        ended = asyncio.create_task(reader.read())
        writer.write(b"GET / HTTP/1.1\r\n")
        for n in range(100):
            if ended.done():
                break
            writer.write(f"X-{n}: 1\r\n".encode())
            await asyncio.sleep(SECONDS / 10)
        assert (await ended).startswith(b"HTTP/1.1 408")


async def test_a_body_that_stops_is_ended(port) -> None:
    async with connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
        assert await asyncio.wait_for(reader.read(), 60 * SECONDS) == b""


@pytest.mark.thorough
async def test_a_body_that_keeps_coming_and_an_answer_that_takes_long_are_let_be(port, monkeypatch) -> None:
    seconds = 4 * SECONDS  # a machine that holds up both ends for a moment does not make it a body that stops
    monkeypatch.setattr(Patient, "seconds", seconds)
    async with connected(port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(seconds / 8)
            writer.write(b"x")
        answer = await asyncio.wait_for(reader.read(), 60 * SECONDS)
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"10\r\n0\r\n\r\n")


async def test_a_websocket_is_refused_and_not_broken_off(port) -> None:
    async with connected(port) as (reader, writer):
        writer.write(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert (await asyncio.wait_for(reader.readline(), 60 * SECONDS)).startswith(b"HTTP/1.1 403")


def test_the_console_is_started_so() -> None:
    assert "--http=console.kit.slow_requests:Protocol" in processes.ROLES["web"]
    assert slow_requests.SECONDS == 30


async def names_its_token(scope, receive, send) -> None:
    """Answers with the token that it finds in use, and uses one of its own, as the API does."""
    found = acting.current()
    acting.begin(acting.ActingToken(uuid4(), "ci"))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": found.name.encode() if found else b"none"})


async def test_a_request_that_does_not_wait_for_its_turn_knows_nothing_of_the_one_before() -> None:
    """Started as production starts it. Two requests in one packet: the second begins as the first ends."""
    told = uvicorn_command.make_context("uvicorn", ["x:y", *processes.WEB]).params["reset_contextvars"]
    config = uvicorn.Config(names_its_token, port=0, http=Patient, lifespan="off", reset_contextvars=told)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.01)
    async with connected(server.servers[0].sockets[0].getsockname()[1]) as (reader, writer):
        writer.write(
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        answers = await asyncio.wait_for(reader.read(), 60 * SECONDS)
    server.should_exit = True
    await task
    assert (answers.count(b"none"), answers.count(b"ci")) == (2, 0)
