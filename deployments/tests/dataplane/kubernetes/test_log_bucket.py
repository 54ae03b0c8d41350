"""Logs of tasks in a bucket: against a server of S3-compatible storage, which keeps what it is sent."""

import io
import json
import sys
import time
import types
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse
from pathlib import Path
from urllib import request
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.server import ThreadedMotoServer

from deployments.dataplane import task_log_files
from deployments.tests.dataplane.kubernetes.test_log_store import loaded, until
from deployments.tests.dataplane.served import NOWHERE, code_server

KEYS = ("AKIAEXAMPLE", "a-secret-key/of+the bucket")
PATH = "dag_id=ü x/run_id=manual__2026-11-28T10:00:00+00:00/task_id=t/attempt=1.log"


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    """Where a bucket is, on loopback."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def place(storage) -> str:
    """A bucket of the test's own, and a place in it."""
    url = f"{storage}/bucket-{time.time_ns()}"
    request.urlopen(request.Request(url, method="PUT"), timeout=10).close()
    return f"{url}/logs/calm-orbit-0012"


@pytest.fixture
def module(monkeypatch) -> types.ModuleType:
    monkeypatch.setitem(sys.modules, "task_log_files", task_log_files)
    return loaded(monkeypatch, "log_bucket", "log_bucket.py")


@pytest.fixture
def bucket(module, place):
    return module.Bucket(place, "us-east-1", *KEYS)


def elsewhere(pod: "Pod") -> list[str]:
    """The paths that the bucket has and the pod's folder has not."""
    return [entry.path for entry in pod.mirror.elsewhere() if entry is not None]


class Pod:
    """The folder of a code server, with its mirror, without its threads."""

    def __init__(self, module, monkeypatch, folder: Path, bucket) -> None:
        self.folder, self.said = folder / "tasks", []
        store = loaded(monkeypatch, "log_store", "log_store.py")
        self.store = store.LogStore(self.folder, 30, 10**9)
        self.mirror = module.Mirror(self.folder, bucket, 30, self.said.append)
        self.store.mirror = self.mirror

    def write(self, path: str, text: str, start: int = 0) -> None:
        raw = text.encode()
        self.store.write(path, start, io.BytesIO(raw), len(raw))

    def read(self, path: str) -> list[str]:
        return [each.read_text() for each in self.store.found(path)]


@pytest.fixture
def pod(module, monkeypatch, tmp_path, bucket):
    numbers = iter(range(10))
    return lambda where=bucket: Pod(module, monkeypatch, tmp_path / f"pod{next(numbers)}", where)


@pytest.mark.parametrize("query", ["", "list-type=2&max-keys=1000&prefix=logs%2Fa%20b"])
def test_a_request_is_signed_as_the_makers_of_the_scheme_sign_it(module, query) -> None:
    bucket = module.Bucket("https://s3.example:9000/logs/pre", "eu-central-1", *KEYS)
    name = f"/logs/pre/{quote(PATH, safe='/-_.~')}"
    now = datetime.now(UTC)
    ours = bucket.signed("GET", name, query, now)
    theirs = AWSRequest("GET", f"https://s3.example:9000{name}{'?' * bool(query)}{query}")
    theirs.headers["X-Amz-Content-SHA256"] = module.UNSIGNED
    theirs.context["payload_signing_enabled"] = False
    theirs.context["timestamp"] = ours["X-Amz-Date"]
    signer = S3SigV4Auth(Credentials(*KEYS), "s3", "eu-central-1")
    theirs.headers["X-Amz-Date"] = ours["X-Amz-Date"]
    text = signer.string_to_sign(theirs, signer.canonical_request(theirs))
    assert ours["Authorization"].endswith(f"Signature={signer.signature(text, theirs)}")
    assert KEYS[1] not in repr(ours)


def test_what_was_sent_outlives_the_pod_and_is_read_and_continued_by_the_next(pod) -> None:
    one = pod()
    one.mirror.take_stock()
    one.write(PATH, "first ü\n")
    one.write(f"{PATH}.trigger.7.log", "waited\n")
    one.mirror.finish()
    two = pod()
    two.mirror.take_stock()
    assert set(elsewhere(two)) == {PATH, f"{PATH}.trigger.7.log"}
    assert two.read(PATH) == ["first ü\n", "waited\n"]
    assert elsewhere(two) == []
    two.write(PATH, "second\n", len("first ü\n".encode()))
    two.mirror.send()
    three = pod()
    three.mirror.take_stock()
    assert three.read(PATH)[0] == "first ü\nsecond\n"


def cut_off() -> HTTPResponse:
    """An answer that ends before what it promises."""

    class Socket:
        def makefile(self, mode: str) -> io.BytesIO:
            return io.BytesIO(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nfir")

    answer = HTTPResponse(Socket())
    answer.begin()
    return answer


def test_a_download_that_is_cut_off_is_no_log(pod, monkeypatch) -> None:
    """It would hide the whole one, and be sent over it."""
    one = pod()
    one.mirror.take_stock()
    one.write(PATH, "first ü\n")
    one.mirror.finish()
    two = pod()
    two.mirror.take_stock()
    with monkeypatch.context() as patch:
        patch.setattr(two.mirror._bucket, "get", lambda path: cut_off())
        with pytest.raises(OSError, match="ended too early"):
            two.mirror.bring(PATH)
        assert two.read(PATH) == []
    assert two.read(PATH) == ["first ü\n"]


def test_a_task_that_goes_on_in_a_new_pod_finds_what_it_wrote_before(pod) -> None:
    one = pod()
    one.write(PATH, "before\n")
    one.mirror.finish()
    two = pod()
    two.mirror.take_stock()
    two.write(PATH, "after\n", 7)  # without that it would be a gap
    assert two.read(PATH) == ["before\nafter\n"]


def test_a_log_is_sent_once_it_is_quiet_and_every_minute_while_it_goes_on(
    pod, bucket, monkeypatch, module
) -> None:
    one = pod()
    one.write(PATH, "x\n")
    one.mirror.send(quiet=60)
    assert list(bucket.entries()) == []
    monkeypatch.setattr(module, "EVERY_SECONDS", 0.0)
    one.mirror.send(quiet=60)
    assert [entry.size for entry in bucket.entries()] == [2]
    one.mirror.send()
    assert one.mirror._touched == {}


def test_a_log_that_grows_while_it_is_sent_is_sent_whole_afterwards(pod, bucket, monkeypatch) -> None:
    one, put = pod(), bucket.put

    def grows(path, file, size) -> None:
        if one.store.found(path)[0].stat().st_size == 4:
            one.write(path, "two\n", 4)
        put(path, file, size)

    monkeypatch.setattr(bucket, "put", grows)
    one.write(PATH, "one\n")
    one.mirror.send()
    assert [entry.size for entry in bucket.entries()] == [4]
    one.mirror.send()
    assert [entry.size for entry in bucket.entries()] == [8]


def test_a_bucket_that_is_away_costs_nothing_and_gets_all_later(pod, module, bucket) -> None:
    away = module.Bucket("http://127.0.0.1:1/none", "us-east-1", *KEYS)
    one = pod(away)
    one.write(PATH, "kept\n")
    assert one.read(PATH) == ["kept\n"]
    with pytest.raises(OSError, match=r"."):
        one.mirror.send()
    one.mirror.finish()
    assert one.said == ["The bucket did not take the last logs: [Errno 111] Connection refused."]
    one.mirror._bucket = bucket
    one.mirror.send()
    assert [entry.path for entry in bucket.entries()] == [PATH]


def test_a_log_that_was_begun_again_before_the_bucket_was_listed_leaves_the_longer_one_there(
    pod, bucket
) -> None:
    one = pod()
    one.write(PATH, "what was written before\n")
    one.mirror.finish()
    two = pod()
    two.write(PATH, "after\n")
    two.mirror.finish()  # lists the bucket first
    sizes = {entry.path: entry.size for entry in bucket.entries()}
    assert sizes == {PATH: len("what was written before\n"), f"{PATH}.later": len("after\n")}
    two.write(PATH, "and much more than before\n", len("after\n"))
    two.mirror.send()  # longer than the first one now, and still apart from it
    three = pod()
    three.mirror.take_stock()
    assert three.read(PATH) == ["what was written before\n", "after\nand much more than before\n"]


def test_a_list_ends_in_time_also_in_the_middle_of_what_only_the_bucket_has(pod) -> None:
    one = pod()
    one.mirror._kept = {
        f"dag_id={number}": {"a.log": task_log_files.Entry(1.0, 1, f"dag_id={number}/a.log")}
        for number in range(50)
    }
    found, whole = task_log_files.listed(one.folder, "", 200, -1.0, others=one.mirror.elsewhere())
    assert (len(found) < 50, whole) == (True, False)


def test_what_is_older_than_it_is_kept_goes_from_the_bucket_too(pod, bucket) -> None:
    one = pod()
    one.write(PATH, "x\n")
    one.mirror.finish()
    two = pod()
    two.mirror._days = -1
    two.mirror.take_stock()
    assert elsewhere(two) == []
    assert list(bucket.entries()) == []


def test_a_full_list_is_read_to_its_end_and_foreign_names_are_left_out(
    pod, bucket, place, module, monkeypatch
) -> None:
    monkeypatch.setattr(module, "PAGE", "4")
    for number in range(9):
        bucket.put(f"dag_id=a/{number:04}.log", io.BytesIO(b"x"), 1)
    bucket.put("a//b", io.BytesIO(b"x"), 1)
    one = pod()
    one.mirror.take_stock()
    assert len(elsewhere(one)) == 9
    other = module.Bucket(place.removesuffix("0012") + "0013", "us-east-1", *KEYS)
    assert list(other.entries()) == []  # that of another Deployment


def test_the_code_server_lists_and_hands_out_what_is_in_the_bucket_alone(bucket, place, tmp_path) -> None:
    bucket.put(PATH, io.BytesIO(b"old\n"), 4)
    keys = {"URL": place, "REGION": "us-east-1", "ACCESS_KEY": KEYS[0], "SECRET_KEY": KEYS[1]}
    more = {f"AIRDECK_LOG_BUCKET_{name}": value for name, value in keys.items()}
    with code_server(NOWHERE, tmp_path / "cache", more=more) as server:
        until(lambda: json.loads(server.read("/task-logs?text=dag_id")[1])["logs"])
        ((changed, size, path),) = json.loads(server.read("/task-logs?text=dag_id")[1])["logs"]
        assert (path, size) == (PATH, 4)
        assert abs(datetime.now(UTC) - datetime.fromtimestamp(changed, UTC)) < timedelta(minutes=5)
        assert json.loads(server.read(f"/task-log?path={quote(PATH)}")[1])["text"] == "old\n"
        assert server.get(f"/logs/{quote(PATH)}")[1] == b"old\n"  # Airflow's own reading
        assert not any(KEYS[1] in part for part in server.process.args)


def test_a_log_that_the_bucket_does_not_hand_out_now_is_not_called_gone(
    bucket, place, tmp_path, storage
) -> None:
    bucket.put(PATH, io.BytesIO(b"old\n"), 4)
    keys = {"URL": place, "REGION": "us-east-1", "ACCESS_KEY": KEYS[0], "SECRET_KEY": KEYS[1]}
    more = {f"AIRDECK_LOG_BUCKET_{name}": value for name, value in keys.items()}
    with code_server(NOWHERE, tmp_path / "cache", more=more) as server:
        until(lambda: json.loads(server.read("/task-logs")[1])["logs"])
        (tmp_path / "fetched.part").mkdir()  # what is fetched cannot be written
        assert server.read(f"/task-log?path={quote(PATH)}")[0] == 503
        assert server.read("/task-log?path=none")[0] == 404
