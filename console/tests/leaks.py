"""Collects all that comes out of the console, and finds a secret in it in every spelling that text takes."""

import base64
import logging
import logging.config
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
import redis
from asgiref.sync import async_to_sync
from django.conf import settings as configured
from django.db import connection

from console.kit.events import publish as publish_for_real
from console.kit.logs import logging_config
from deployments.enqueue import reconcile as enqueue_for_real


def spellings(secret: str) -> list[str]:
    """The secret as it is, in hexadecimal, and inside a longer base64 text at each of three places."""
    raw = secret.encode()
    found = [secret, raw.hex(), secret[::-1]]
    for skip in range(3):
        whole = base64.b64encode(b"\0" * skip + raw).decode().rstrip("=")
        inner = whole[(0, 2, 3)[skip] : len(whole) - (0 if (skip + len(raw)) % 3 == 0 else 1)]
        found += [inner, inner.replace("+", "-").replace("/", "_")]
    return found


def leaks(text: str, secrets: dict[str, str]) -> list[str]:
    """Which of the secrets stand in the text."""
    return [name for name, secret in secrets.items() if any(each in text for each in spellings(secret))]


class Collector:
    """Everything that came out, by where it was found."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}

    def add(self, place: str, text: str) -> None:
        self.found.setdefault(place, []).append(text)

    def all(self, *prefixes: str) -> str:
        return "\n".join(
            t for place, texts in self.found.items() if place.startswith(prefixes) for t in texts
        )


@contextmanager
def everything_logged(collector, *, sql: bool):
    """Every record of every logger, as production writes it; with `sql`, statements and their values too."""
    config = logging_config(json=True, level="DEBUG")
    formatter = logging.config.DictConfigurator({"version": 1}).configure_formatter(
        config["formatters"]["line"]
    )

    class Keep(logging.Handler):
        def emit(self, record):
            collector.add("log", formatter.format(record))
            collector.add("log", str(record.args))

    handler, root, before = Keep(logging.DEBUG), logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.getLogger("django.db.backends").setLevel(logging.DEBUG)
    connection.force_debug_cursor = sql
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        logging.getLogger("django.db.backends").setLevel(logging.NOTSET)
        connection.force_debug_cursor = False


@contextmanager
def everything_sent(collector, monkeypatch):
    """Every command that Redis gets: hints to workers and frames for pages, really sent."""
    monkeypatch.setattr("deployments.enqueue.reconcile", enqueue_for_real)
    monkeypatch.setattr("console.kit.events.publish", publish_for_real)
    client = redis.Redis.from_url(configured.REDIS_URL, socket_timeout=None)
    end = uuid4().hex
    with client.monitor() as monitor:

        def listen() -> None:
            for command in monitor.listen():
                collector.add("redis", command["command"])
                if end in command["command"]:
                    return

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield
        finally:
            client.set(end, "", ex=1)
            thread.join(10)
    client.close()


def stream_of(response) -> bytes:
    async def collect():
        return b"".join([chunk async for chunk in response.streaming_content])

    return async_to_sync(collect)() if response.is_async else b"".join(response.streaming_content)


def as_text(response) -> str:
    head = "\n".join(f"{name}: {value}" for name, value in response.items())
    body = stream_of(response) if response.streaming else response.content
    return f"{head}\n{response.cookies.output()}\n{body.decode(errors='replace')}"


def read_database(collector) -> None:
    """Every column of every row."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT "{table}"::text FROM "{table}"')
            collector.add(f"table {table}", "\n".join(row for (row,) in cursor.fetchall()))


def read_processes(collector, place: str = "process") -> None:
    """The argument lists of this process and of all that it started."""
    me = psutil.Process(os.getpid())
    for process in (me, *me.children(recursive=True)):
        try:
            arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode(errors="replace")
            collector.add(place, arguments.replace("\0", " "))
        except FileNotFoundError:
            continue
