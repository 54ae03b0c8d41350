"""The small parts of the API: values of tokens, rates, cursors, and what is refused before a body is read."""

import json
import logging
from datetime import datetime
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync
from django.test import Client, RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from console.kit import cursors, rates
from console.kit.api_body_limit import ApiBodyLimit
from console.kit.http_json import Stale, require_match
from console.kit.logs import hide_links
from console.kit.long_requests import is_long
from console.kit.rates import Buckets, Rate
from console.kit.refusals import InvalidInput
from console.tests.leaks import Collector, everything_logged
from deployments.domain.upload_path import is_api_upload
from workspaces import token_values

UPLOAD = "/api/v1/deployments/calm-orbit-0012/deploys"


def test_a_value_has_its_kind_and_a_checksum_that_finds_every_typing_error():
    value = token_values.mint("w")
    assert value.startswith("adk_w_")
    assert len(value) == 52
    assert token_values.is_sound(value)
    for place in range(6, len(value)):
        other = "0" if value[place] != "0" else "1"
        assert not token_values.is_sound(value[:place] + other + value[place + 1 :]), place
    assert not token_values.is_sound(value.replace("adk_w", "adk_u"))
    assert len({token_values.mint("u") for _ in range(100)}) == 100


def test_a_value_is_found_wherever_it_stands():
    value = token_values.mint("d")
    assert token_values.found_in(f"x={value}&y=adk_d_nonsense") == [value]
    assert token_values.found_in("adk_w_" + "0" * 46) == []


@given(st.text(), st.integers(-(2**60), 2**60), st.uuids())
def test_a_cursor_comes_back_as_it_was_packed(text, number, key):
    text = text.replace("\0", "").encode(errors="ignore").decode()
    assert cursors.unpack(cursors.pack(text, number, str(key)), str, int, str) == (text, number, str(key))


@pytest.mark.parametrize(
    "cursor",
    ["x", "é", "WzFd", "W10", "bnVsbA", cursors.pack(2**70), cursors.pack("\0"), cursors.pack("\ud800")],
)
def test_a_cursor_that_is_none_is_refused(cursor):
    with pytest.raises(InvalidInput, match="Take the cursor"):
        cursors.unpack(cursor, str)
    with pytest.raises(InvalidInput):
        cursors.after(cursor, ("pk", UUID))


@pytest.mark.parametrize("text", ["now", "2026-11-28T10:00:00", "0001-01-01T00:00:00+14:00"])
def test_a_moment_in_a_cursor_has_its_zone_and_is_one(text):
    with pytest.raises(InvalidInput, match="Take the cursor"):
        cursors.after(cursors.pack(text), ("-opened_at", datetime))
    assert cursors.after(cursors.pack("2026-11-28T10:00:00+01:00"), ("-opened_at", datetime))


def test_a_bucket_fills_again(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(rates.time, "monotonic", lambda: now[0])
    buckets, rate, key = Buckets(), Rate(2, 3), uuid4()
    assert [buckets.take(key, rate) for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.take("another", rate) == 0
    now[0] += 0.5
    assert [buckets.take(key, rate) for _ in range(2)] == [0, 0.5]
    now[0] += 60
    assert [buckets.take(key, rate) for _ in range(4)] == [0, 0, 0, 0.5]


def test_buckets_do_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(rates, "KEYS", 10)
    buckets = Buckets()
    for number in range(100):
        buckets.take(number, Rate(1, 1))
    assert len(buckets._levels) == 10


class Inner:
    """An application that reads its whole body."""

    read = 0

    async def __call__(self, scope, receive, send):
        while True:
            message = await receive()
            self.read += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def ask(path, *, length=None, pieces=(), method="POST", refusal=None):
    """Status, document, how much the application read, and how much was read before the answer was complete."""
    inner, sent, taken, before = Inner(), [], [], []

    async def refused(scope):
        return refusal

    limit = ApiBodyLimit(inner, ordinary=10, upload=100, is_upload=is_api_upload, refusal=refused)
    queue = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    queue.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        taken.append(1)
        return queue.pop(0)

    async def send(message):
        sent.append(message)
        if message.get("body"):
            before.append(len(taken))

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    async_to_sync(limit)({"type": "http", "path": path, "method": method, "headers": headers}, receive, send)
    body = b"".join(each.get("body", b"") for each in sent[1:])
    return sent[0]["status"], json.loads(body) if body else {}, inner.read, max(before, default=0)


@pytest.mark.parametrize(
    ("path", "length", "refusal", "expected"),
    [
        ("/api/v1/me", 11, None, (413, "too_large")),
        (UPLOAD, 101, None, (413, "too_large")),
        (UPLOAD, None, None, (411, "length_required")),
        (UPLOAD, 50, (401, "token_revoked", "Revoked."), (401, "token_revoked")),
        (UPLOAD, 50, (403, "missing_right", "No."), (403, "missing_right")),
    ],
)
def test_what_may_not_come_is_refused_before_a_byte_is_read(path, length, refusal, expected):
    status, document, read, taken = ask(path, length=length, refusal=refusal)
    assert (status, document["code"]) == expected
    assert document["detail"]
    assert read == taken == 0


def test_what_may_come_passes_and_no_more_than_it_said():
    assert ask("/api/v1/me", length=4, pieces=[b"abcd"])[::2] == (200, 4)
    assert ask(UPLOAD, length=50, pieces=[b"x" * 50])[::2] == (200, 50)
    assert ask("/api/v1/me", pieces=[b"x" * 6, b"x" * 6])[0] == 413  # unannounced
    assert ask("/deployments/x/deploys/new/", length=5000, pieces=[b"x" * 5000])[0] == 200  # not the API's


def test_a_tag_that_a_proxy_made_weak_is_about_the_same():
    def judge(header):
        require_match(RequestFactory().get("/", headers={"If-Match": header}), '"b"')

    for named in ('"b"', 'W/"b"', '"a", W/"b"', "*"):
        judge(named)
    for other in ('"a"', 'W/"a"', ""):
        with pytest.raises(Stale):
            judge(other)


def test_requests_that_wait_are_known_by_their_address():
    assert is_long("/w/1/stream/")
    assert is_long("/api/v1/operations/calm-orbit-0012.create.1")
    assert is_long("/api/v1/deployments/calm-orbit-0012/logs")
    assert not is_long("/api/v1/deployments/calm-orbit-0012")
    assert not is_long("/deployments/calm-orbit-0012/logs/")


def test_a_line_of_the_log_has_neither_the_query_nor_the_secret_of_an_address():
    for asked, logged in (
        (
            "POST /api/v1/deployments/x/deploys?git_remote=https://u:hush@h/a",
            "POST /api/v1/deployments/x/deploys",
        ),
        ("GET /join/hush-hush/?next=/", "GET /join/…/"),
        ("GET /", "GET /"),
    ):
        assert hide_links(None, "info", {"request": asked})["request"] == logged


@pytest.mark.parametrize(
    "path", ["/join/hush-hush-hush/", "/accounts/confirm-email/hush-hush-hush/", "/join/hush-hush-hush/ask/"]
)
def test_no_line_of_the_log_has_the_secret_of_an_address_that_was_refused(db, path):
    """Django writes the address of what it refuses, or what failed, into a line of its own."""
    found = Collector()
    with everything_logged(found, sql=False):
        assert Client(enforce_csrf_checks=True).post(path).status_code == 403
        logging.getLogger("anywhere").error("A request failed", exc_info=ValueError(f"at {path}?a=b"))
    lines = [line for line in found.found["log"] if line.startswith("{")]
    assert any("Forbidden" in line for line in lines)
    assert any("ValueError" in line for line in lines)
    assert "hush" not in "".join(lines)
