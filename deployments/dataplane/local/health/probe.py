"""Asking a running Deployment for the raw facts that `health` judges. Every question is bounded and may
fail."""

import http.client
import json
import re
import socket
from datetime import UTC, datetime
from pathlib import Path

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local.health.bounded_socket import BoundedSocket
from deployments.dataplane.local.health.components import ApiAnswer
from deployments.dataplane.postgres import visits
from deployments.dataplane.postgres.airflow_metadata import Heartbeat
from deployments.domain.log_lines import LAST_LINES, clean, why_ended

HTTP_SECONDS = 2.0
REDIS_SECONDS = 1.0
TAIL_BYTES = 64 * 1024
ANSWER_BYTES = 2**20


class _Bounded(http.client.HTTPConnection):
    """Whose answer ends in time, however slowly it comes."""

    def connect(self) -> None:
        super().connect()
        self.sock = BoundedSocket.over(self.sock, seconds=HTTP_SECONDS, most_bytes=ANSWER_BYTES)


def api_answer(port: int | None) -> tuple[ApiAnswer | None, str]:
    """GET /api/v2/monitor/health, and a text that changes when a component's health does. None: no answer."""
    if port is None:
        return None, ""
    connection = _Bounded("127.0.0.1", port, timeout=HTTP_SECONDS)
    try:
        connection.request("GET", "/api/v2/monitor/health")
        response = connection.getresponse()
        body = response.read(65_536)
    except (OSError, http.client.HTTPException):
        return None, ""
    finally:
        connection.close()
    if response.status != http.client.OK:
        return ApiAnswer(healthy=False, problem=f"HTTP {response.status}"), str(response.status)
    try:
        health = json.loads(body)
        words = ",".join(str(health[key]["status"]) for key in sorted(health))
        return ApiAnswer(healthy=health["metadatabase"]["status"] == "healthy"), words
    except (ValueError, KeyError, TypeError, RecursionError):
        return ApiAnswer(healthy=False, problem="something that is not Airflow's health"), "?"


def connected_workers(redis_socket: Path, password: str) -> frozenset[str] | None:
    """Names of the Celery workers whose consumer is connected to the Deployment's Redis. None: no answer."""
    questions = [("AUTH", password)] if password else []
    try:
        with BoundedSocket(socket.AF_UNIX, seconds=REDIS_SECONDS, most_bytes=ANSWER_BYTES) as asked:
            asked.connect(str(redis_socket))
            asked.sendall(b"".join(map(_command, [*questions, ("CLIENT", "LIST")])))
            with asked.makefile("rb") as answer:
                if questions and answer.readline(100) != b"+OK\r\n":
                    return None
                kind, length = answer.read(1), int(answer.readline(20))
                if kind != b"$" or not 0 <= length <= ANSWER_BYTES:
                    return None
                listed = answer.read(length)
                if len(listed) < length:
                    return None
    except (OSError, ValueError):
        return None
    clients = [
        dict(each.partition("=")[::2] for each in line.split(" ") if "=" in each)
        for line in listed.decode(errors="replace").splitlines()
    ]
    # A worker has several connections. Its pub/sub one, for remote control, is opened when its consumer starts;
    # BRPOP would not do, because a worker that has all the tasks it can take asks for nothing.
    return frozenset(
        entry["name"]
        for entry in clients
        if entry.get("name") and (entry.get("sub", "0") != "0" or entry.get("psub", "0") != "0")
    )


def _command(words: tuple[str, ...]) -> bytes:
    """As Redis reads one (RESP): by hand, since its library reads an answer of any length, for any time."""
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)


def redis_password(config: Path) -> str:
    """The password in a Deployment's redis.conf; "" when there is none."""
    try:
        found = re.search(r"^requirepass (.+)$", config.read_text(), re.MULTILINE)
    except OSError:
        return ""
    return str(json.loads(found[1])) if found else ""


def metadata(
    admin_url: str, release_name: str
) -> tuple[tuple[Heartbeat, ...] | None, dict[tuple[str, str], int]]:
    """Heartbeats of the last minutes, and the number of task instances by (queue, "queued" or "running").

    (None, {}) when the database does not answer or holds no Airflow yet.
    """
    try:
        with visits.visit(admin_url, release_name) as connection:
            rows = connection.execute(
                "SELECT job_type, start_date, latest_heartbeat FROM job "
                "WHERE state = 'running' AND latest_heartbeat > now() - interval '2 minutes'"
            ).fetchall()
            loads = connection.execute(
                "SELECT queue, state, count(*) FROM task_instance "
                "WHERE state IN ('queued', 'running') GROUP BY 1, 2"
            ).fetchall()
            heartbeats = tuple(
                Heartbeat(kind, "", began.astimezone(UTC), at.astimezone(UTC)) for kind, began, at in rows
            )
            return heartbeats, {(str(queue), str(state)): int(count) for queue, state, count in loads}
    except DataPlaneError:
        return None, {}


def tail(file: Path, lines: int) -> list[str]:
    """The last lines of a log, at most 64 KiB of it, without colours and control characters."""
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    found = text.split("\n")[1 if size > TAIL_BYTES else 0 :]
    return [plain for line in found if (plain := clean(line))][-lines:]


def last_error(file: Path) -> str:
    """The line that most likely says why a program ended."""
    return why_ended(tail(file, LAST_LINES))


def utc_now() -> datetime:
    """The present, aware."""
    return datetime.now(UTC)
