"""Logs of tasks: sent on while they are written, kept by the code server, read back by Airflow."""

import errno
import io
import json
import os
import socket
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from importlib import util
from importlib.resources import files
from urllib import request
from urllib.error import HTTPError
from urllib.parse import quote

import pytest

from deployments.dataplane import task_log_files
from deployments.tests.dataplane.served import NOWHERE, READER_TOKEN, TOKEN, code_server

IN_PODS = files("deployments.dataplane.kubernetes.in_pods")
PATH = "dag_id=a/run_id=manual__2026-01-01T00:00:00+00:00/task_id=t.ü/attempt=1.log"


def loaded(monkeypatch, name: str, file: str) -> types.ModuleType:
    spec = util.spec_from_file_location(name, str(IN_PODS.joinpath(file)))
    module = util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def log_store(monkeypatch) -> types.ModuleType:
    monkeypatch.setitem(sys.modules, "task_log_files", task_log_files)
    return loaded(monkeypatch, "log_store", "log_store.py")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with code_server(NOWHERE, tmp_path_factory.mktemp("server") / "cache") as running:
        yield running


@pytest.fixture
def served(monkeypatch, tmp_path, server) -> types.ModuleType:
    """What Airflow imports in a pod whose logs are in `tmp_path`."""
    settings = types.ModuleType("airflow.config_templates.airflow_local_settings")
    settings.DEFAULT_LOGGING_CONFIG = {"version": 1, "handlers": {}}
    for name in ("airflow", "airflow.config_templates"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, settings.__name__, settings)
    monkeypatch.setenv("AIRDECK_CODE_SERVER", server.address)
    monkeypatch.setenv("AIRDECK_CODE_TOKEN", TOKEN)
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(tmp_path))
    module = loaded(monkeypatch, "airdeck_logging", "served_logs.py")
    monkeypatch.setattr(module, "EVERY_SECONDS", 0.05)
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.4)
    return module


class Raw:
    """Airflow's logger of one task, which writes to a file."""

    def __init__(self, file) -> None:
        self._file = file


def until(fine, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not fine():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def written(tmp_path, path: str, content: str):
    place = tmp_path / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content)
    return place


# -- Airflow's side --


def test_a_finished_tasks_log_outlives_its_pod(served, tmp_path) -> None:
    place = written(tmp_path, PATH, "one\ntwo ü\n")
    served.REMOTE_TASK_LOG.upload(PATH, None)
    assert not place.exists()  # it makes room in a worker that lives for weeks
    told, logs = served.REMOTE_TASK_LOG.read(PATH, None)
    assert logs == ["one\ntwo ü\n"]
    assert told == ["Kept by the code server: attempt=1.log"]


def test_what_a_killed_pod_wrote_seconds_before_is_there(served, tmp_path) -> None:
    """Nobody uploads after a kill: the first event of a log begins its sending."""
    path = PATH.replace("dag_id=a", "dag_id=killed")
    (tmp_path / path).parent.mkdir(parents=True)
    remote = served.REMOTE_TASK_LOG
    (pass_on,) = remote.processors
    with (tmp_path / path).open("w") as file:
        for line in ("first\n", "second\n"):
            file.write(line)
            file.flush()
            assert pass_on(Raw(file), "info", line) == line
        until(lambda: remote.read(path)[1] == ["first\nsecond\n"])
        file.write("third\n")
        file.flush()
        until(lambda: remote.read(path)[1] == ["first\nsecond\nthird\n"])
    assert (tmp_path / path).exists()
    remote.upload(path)
    assert remote._sending._thread is None  # whatever forks the next task has no thread


def test_other_loggers_are_left_alone(served) -> None:
    (pass_on,) = served.REMOTE_TASK_LOG.processors
    for logger in (None, object(), Raw(sys.stdout), Raw(types.SimpleNamespace(name=3))):
        assert pass_on(logger, "info", {"event": "x"}) == {"event": "x"}
    assert served.REMOTE_TASK_LOG._sending._thread is None


def test_a_task_that_goes_on_elsewhere_goes_on_in_its_log_and_triggers_stand_beside_it(
    served, tmp_path
) -> None:
    path = PATH.replace("dag_id=a", "dag_id=deferred")
    for content in ("before\n", "after\n"):
        written(tmp_path, path, content)
        served.REMOTE_TASK_LOG.upload(path)
    written(tmp_path, f"{path}.trigger.7.log", "waited\n")
    served.REMOTE_TASK_LOG.upload(f"{path}.trigger.7.log")
    assert served.REMOTE_TASK_LOG.read(path)[1] == ["before\nafter\n", "waited\n"]
    other = path.replace("attempt=1", "attempt=10")
    written(tmp_path, other, "tenth\n")
    served.REMOTE_TASK_LOG.upload(other)
    assert served.REMOTE_TASK_LOG.read(path)[1] == ["before\nafter\n", "waited\n"]


def test_a_log_that_nobody_wrote_is_none(served) -> None:
    assert served.REMOTE_TASK_LOG.read("dag_id=none/attempt=1.log") == ([], None)
    served.REMOTE_TASK_LOG.upload("dag_id=none/attempt=1.log")


def test_without_the_server_a_task_ends_and_its_log_stays_in_its_pod(served, tmp_path) -> None:
    away = served.ServedLogs("http://127.0.0.1:1", str(tmp_path))
    place = written(tmp_path, PATH, "kept\n")
    began = time.monotonic()
    away.upload(PATH)
    assert time.monotonic() - began < 20
    assert place.read_text() == "kept\n"
    told, logs = away.read(PATH)
    assert logs is None
    assert "did not hand out its logs" in told[0]


def test_a_wrong_token_is_not_tried_for_long(served, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(served, "PATIENCE_SECONDS", 60)
    monkeypatch.setenv("AIRDECK_CODE_TOKEN", "another")
    began = time.monotonic()
    written(tmp_path, PATH, "kept\n")
    served.REMOTE_TASK_LOG.upload(PATH)
    assert time.monotonic() - began < 30


def test_of_a_very_long_log_the_end_is_read_and_its_page_says_so(served, tmp_path, monkeypatch) -> None:
    path = "dag_id=long/attempt=1.log"
    written(tmp_path, path, "x" * 1000 + "end\n")
    served.REMOTE_TASK_LOG.upload(path)
    monkeypatch.setattr(served, "READ_BYTES", 4)
    told, logs = served.REMOTE_TASK_LOG.read(path)
    assert logs == ["end\n"]
    assert told == ["Kept by the code server: attempt=1.log (without its first 1,000 bytes)"]


# -- The server's side --


@pytest.mark.parametrize(
    "path", ["/logs/../x", "/logs/a/%2e%2e/x", "/logs/", "/logs//x", "/logs/a%00b", "/logs/" + "a" * 300]
)
def test_a_path_that_is_none_is_refused(server, path) -> None:
    assert server.get(path)[0] == 400


def test_logs_need_the_token(server) -> None:
    assert server.get("/logs/dag_id=a/x.log?names", "")[0] == 401


def test_what_is_sent_twice_is_there_once_and_a_gap_is_told(log_store, tmp_path) -> None:
    store = log_store.LogStore(tmp_path / "logs", 30, 10**9)
    for _ in range(2):
        assert store.write("a/b.log", 0, io.BytesIO(b"hello"), 5) == 5
    assert store.write("a/b.log", 5, io.BytesIO(b" all"), 4) == 9
    with pytest.raises(log_store.Gap) as gap:
        store.write("a/b.log", 20, io.BytesIO(b"x"), 1)
    assert gap.value.size == 9
    with pytest.raises(log_store.TooLarge):
        store.write("a/b.log", log_store.MOST_BYTES, io.BytesIO(b"x"), 1)
    assert (tmp_path / "logs" / "a" / "b.log").read_bytes() == b"hello all"


def test_old_logs_go_and_the_oldest_when_there_is_no_room(log_store, tmp_path) -> None:
    store = log_store.LogStore(tmp_path / "logs", 30, 250)
    now = time.time()
    for number, days in enumerate((40, 3, 2, 1)):
        path = f"dag_id={number}/attempt=1.log"
        store.write(path, 0, io.BytesIO(b"x" * 100), 100)
        os.utime(tmp_path / "logs" / path, (now - days * 86_400,) * 2)
    store.tidy()
    assert sorted(each.name for each in (tmp_path / "logs").iterdir()) == ["dag_id=2", "dag_id=3"]


def test_a_full_volume_makes_room_by_itself(log_store, tmp_path, monkeypatch) -> None:
    store = log_store.LogStore(tmp_path / "logs", 30, 100)
    store.write("old.log", 0, io.BytesIO(b"x" * 95), 95)
    os.utime(tmp_path / "logs" / "old.log", (0, 0))

    class Full(io.BytesIO):
        def write(self, data) -> int:
            if (tmp_path / "logs" / "old.log").exists():
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    full = Full()
    store._put(full, b"new")
    assert full.getvalue() == b"new"


# -- The console's side --


def test_the_console_reads_what_tasks_sent_by_a_port_and_a_token_of_its_own(served, server, tmp_path) -> None:
    path = PATH.replace("dag_id=a", "dag_id=read by the console")
    written(tmp_path, path, "one\ntwo ü\n")
    served.REMOTE_TASK_LOG.upload(path)
    status, body, headers = server.read("/task-logs?text=CONSOLE+read&most=5")
    document = json.loads(body)
    assert (status, headers["X-Airdeck-Program"], document["whole"]) == (200, "code-server", True)
    ((changed, size, found),) = document["logs"]
    assert (found, size) == (path, 11)
    assert abs(time.time() - changed) < 30
    part = json.loads(server.read(f"/task-log?path={quote(path)}&from=4")[1])
    assert part["text"].encode("latin-1").decode() == "two ü\n"
    assert (part["start"], part["end"], part["size"]) == (4, 11, 11)


@pytest.mark.parametrize("token", ["", TOKEN, "another", "é"])
def test_without_the_consoles_token_nothing_is_read(server, token) -> None:
    """That of the pods, which people's code has, is none."""
    for path in ("/task-logs", "/task-log?path=a", "/active", "/"):
        status, body, headers = server.read(path, token)
        assert (status, headers["X-Airdeck-Program"]) == (403, "code-server")
        assert b'logs"' not in body


def test_the_consoles_port_only_reads_logs(server) -> None:
    assert server.read("/active")[0] == server.read("/code/1-0.tar")[0] == server.read("/logs/a")[0] == 404
    for path in ("/task-log", "/task-log?path=../x", "/task-log?path=/etc/passwd", "/task-log?path=a%00b"):
        assert server.read(path)[0] == 404
    for query in ("most=-1&from=-1", "most=x", "most=99999999999999999999", "text=%ff"):
        assert server.read(f"/task-logs?{query}")[0] == 200
    for method in ("PUT", "POST", "DELETE"):
        asked = request.Request(
            f"{server.reader}/task-logs", b"", {"X-Airdeck-Token": READER_TOKEN}, method=method
        )
        with pytest.raises(HTTPError) as refused:
            request.urlopen(asked, timeout=10)
        assert refused.value.code == 501
        refused.value.close()


@pytest.mark.thorough
def test_strangers_who_keep_its_connections_open_cost_the_pods_nothing(server) -> None:
    host, port = server.reader.removeprefix("http://").split(":")
    held = [socket.create_connection((host, int(port)), timeout=10) for _ in range(20)]
    try:
        assert server.get("/logs/none?names")[0] == 200
    finally:
        for each in held:
            each.close()
    until(lambda: _answers(server))


def test_who_asks_while_many_logs_are_read_waits_for_a_turn_and_is_told_when_there_is_none(
    monkeypatch, log_store, tmp_path
) -> None:
    reader = loaded(monkeypatch, "log_reader", "log_reader.py")
    monkeypatch.setattr(reader, "WAIT_SECONDS", 0.5)
    reading, go_on = threading.Semaphore(0), threading.Event()

    def slow(*_: object, **__: object) -> tuple[tuple[()], bool]:
        reading.release()
        go_on.wait(30)
        return (), True

    monkeypatch.setattr(reader.task_log_files, "listed", slow)
    running = reader.Server(("127.0.0.1", 0), log_store.LogStore(tmp_path / "tasks", 30, 10**9), READER_TOKEN)
    threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
    url = f"http://127.0.0.1:{running.server_address[1]}/task-logs"

    def asked(_: int = 0) -> int:
        try:
            with request.urlopen(
                request.Request(url, headers={"X-Airdeck-Token": READER_TOKEN}), timeout=30
            ) as answer:
                return answer.status
        except HTTPError as refused:
            with refused:
                return refused.code

    with ThreadPoolExecutor(9) as pool:
        first = [pool.submit(asked) for _ in range(reader.MOST_AT_ONCE)]
        assert all(reading.acquire(timeout=30) for _ in first)
        assert asked() == 429
        last = pool.submit(asked)  # waits for a turn
        go_on.set()
        assert [each.result() for each in (*first, last)] == [200] * 9
    running.shutdown()
    running.server_close()


def _answers(server) -> bool:
    try:
        return server.read("/task-logs")[0] == 200
    except OSError:
        return False
