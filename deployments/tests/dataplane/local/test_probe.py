"""What a Deployment's programs on this machine answer, also when its code put others in their place."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from console.embedded import keys
from console.tests.services import STATE
from deployments.dataplane.local.health import probe


def drip(listener: socket.socket, beginning: bytes) -> None:
    """What a program may answer that a Deployment's code put in Airflow's place: a byte now and then, for ever."""
    connection, _ = listener.accept()
    with connection, contextlib.suppress(OSError):
        connection.recv(4096)
        connection.sendall(beginning)
        while True:
            time.sleep(0.1)
            connection.sendall(b"x")


@contextlib.contextmanager
def answering(listener: socket.socket, answer: Callable[[socket.socket], None]) -> Iterator[None]:
    with listener:
        listener.listen()
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        yield
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize("beginning", [b"+OK\r\n$900000\r\n", b"+OK\r\n$", b""])
def test_a_redis_that_answers_a_byte_at_a_time_holds_up_no_look(tmp_path: Path, beginning: bytes) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "redis.sock"))
    began = time.monotonic()
    with answering(listener, lambda each: drip(each, beginning)):
        assert probe.connected_workers(tmp_path / "redis.sock", "password") is None
        assert time.monotonic() - began < 10 * probe.REDIS_SECONDS  # else for hours


@pytest.mark.parametrize("length", [b"9999999999999", b"-1", b"many"])
def test_a_redis_that_promises_more_than_fits_is_not_listened_to(tmp_path: Path, length: bytes) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "redis.sock"))
    with answering(listener, lambda each: drip(each, b"+OK\r\n$" + length + b"\r\n")):
        assert probe.connected_workers(tmp_path / "redis.sock", "password") is None


def test_health_that_is_nested_without_end_is_none_of_airflows() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    body = b"[" * 60_000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with answering(listener, lambda each: drip(each, answer)):
        found, words = probe.api_answer(listener.getsockname()[1])
    assert found is not None
    assert (found.healthy, words) == (False, "?")


@pytest.mark.parametrize(
    "beginning", [b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b""]
)
def test_an_api_server_that_answers_a_byte_at_a_time_holds_up_no_look(beginning: bytes) -> None:
    """Code of a Deployment's own runs in there, as a plugin. The observer asks all Deployments before it goes on."""
    listener = socket.create_server(("127.0.0.1", 0))
    began = time.monotonic()
    with answering(listener, lambda each: drip(each, beginning)):
        assert probe.api_answer(listener.getsockname()[1]) == (None, "")
        assert time.monotonic() - began < 10 * probe.HTTP_SECONDS  # else for hours


def test_the_workers_that_are_connected_are_those_that_listen() -> None:
    path, password = STATE.redis_socket, keys.read(STATE, "redis_password")
    assert probe.connected_workers(path, password) is not None
    with redis.Redis(
        unix_socket_path=str(path), password=password, client_name="celery@worker-default-1"
    ) as client:
        client.ping()
        assert "celery@worker-default-1" not in (probe.connected_workers(path, password) or ())
        with client.pubsub() as listening:
            listening.subscribe("anything")
            assert "celery@worker-default-1" in (probe.connected_workers(path, password) or ())
    assert probe.connected_workers(path, "wrong") is None
