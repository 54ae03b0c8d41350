"""Requests that are too large are refused before a byte of them is stored."""

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.test import Client
from django.urls import reverse

from console.kit.api_body_limit import ApiBodyLimit
from console.kit.body_limit import BodyLimit
from deployments.domain.upload_path import is_upload
from workspaces.signed_in import signed_in

UPLOAD = "/deployments/calm-orbit-0012/deploys/new/"


class Inner:
    """An application that reads its whole body, and remembers how much."""

    def __init__(self) -> None:
        self.read = 0
        self.called = False

    async def __call__(self, scope, receive, send) -> None:
        self.called = True
        while True:
            message = await receive()
            self.read += len(message["body"])
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def ask(inner, path, *, announced=None, chunks=(), somebody=True, method="POST", sent=None):
    """The status and the sentence."""
    sent = [] if sent is None else sent
    bodies = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages = iter([*bodies, {"type": "http.request", "body": b""}])

    async def receive():
        message = next(messages)
        sent.append(message)
        return message

    async def send(message):
        sent.append(message)

    async def is_somebody(scope):
        return somebody

    app = BodyLimit(inner, ordinary=10, upload=100, is_upload=is_upload, signed_in=is_somebody)
    headers = [(b"content-length", str(announced).encode())] if announced is not None else []
    await app({"type": "http", "method": method, "path": path, "headers": headers}, receive, send)
    answer = [each for each in sent if each["type"].startswith("http.response")]
    return answer[0]["status"], answer[1]["body"].decode()


@pytest.mark.parametrize(
    ("path", "announced", "somebody", "status"),
    [
        ("/accounts/login/", 10, False, 200),
        ("/accounts/login/", 11, True, 413),
        (UPLOAD, 100, True, 200),
        (UPLOAD, 101, True, 413),
        (UPLOAD, 100, False, 401),
        (UPLOAD, 10, False, 200),  # Django sends them to the sign-in
        (UPLOAD + "x/", 11, True, 413),
        ("/x" + UPLOAD, 11, True, 413),
    ],
)
async def test_what_is_announced_is_refused_before_it_is_read(path, announced, somebody, status):
    inner = Inner()
    answer, said = await ask(inner, path, announced=announced, somebody=somebody)
    assert answer == status
    assert inner.called == (status == 200)
    assert status == 200 or said.endswith(".\n")


async def test_what_is_not_announced_is_counted_as_it_comes():
    inner = Inner()
    status, said = await ask(inner, UPLOAD, chunks=[b"x" * 30] * 10)
    assert status == 413
    assert "nothing was stored" in said
    assert inner.read == 90
    assert (await ask(Inner(), UPLOAD, chunks=[b"x" * 30] * 3))[0] == 200
    assert (await ask(Inner(), UPLOAD, chunks=[b"x"], somebody=False))[0] == 401


async def test_a_client_that_still_sends_gets_the_answer_before_its_connection_ends(monkeypatch):
    """A browser that is cut off while it uploads shows a broken connection, and not that one is to sign in."""
    whole: list[dict] = []
    await ask(Inner(), UPLOAD, announced=60, chunks=[b"x" * 30] * 2, somebody=False, sent=whole)
    kinds = [each["type"].removeprefix("http.") for each in whole]
    assert kinds == ["response.start", "response.body", *["request"] * 3, "response.body"]
    assert [whole[at].get("more_body", False) for at in (1, -1)] == [True, False]
    length = dict(whole[0]["headers"])[b"content-length"]
    assert int(length) == len(whole[1]["body"])

    monkeypatch.setattr("console.kit.body_limit.DROPPED", 100)
    endless: list[dict] = []
    await ask(Inner(), UPLOAD, announced=9999, chunks=[b"x" * 30] * 99, sent=endless)
    assert sum(each["type"] == "http.request" for each in endless) == 4


async def test_only_a_post_to_the_upload_may_be_large():
    assert (await ask(Inner(), UPLOAD, announced=50, method="PUT"))[0] == 413


@pytest.mark.django_db(transaction=True)
def test_a_session_is_somebodys_or_not(alice):
    client = Client()
    client.force_login(alice)
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"

    def ask_with(*headers: tuple[bytes, bytes]) -> bool:
        return async_to_sync(signed_in)({"headers": list(headers)})

    assert ask_with((b"cookie", f"x=1; {cookie}".encode()))
    assert not ask_with((b"cookie", f"{settings.SESSION_COOKIE_NAME}=forged".encode()))
    assert not ask_with((b"cookie", b"nothing"))
    assert not ask_with()


def test_the_path_of_the_upload_is_the_one_that_is_routed():
    assert is_upload(reverse("deployments:deploy_new", args=["calm-orbit-0012"]))


def test_the_application_is_behind_it():
    from console.asgi import application

    assert isinstance(application, ApiBodyLimit)
    assert isinstance(application._app, BodyLimit)
