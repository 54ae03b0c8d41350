"""Every URL, crossed with every role. A URL that nobody listed fails the build."""

import asyncio
import re
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.contrib import admin
from django.db import connection, connections, transaction
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from console.tests.url_tables import (
    ACCOUNTS,
    ADMIN,
    ALERT_URLS,
    ALL_URLS,
    ANYONE,
    EDITOR,
    ELSEWHERE,
    IDENTITY,
    INVITATION_URLS,
    INVITED,
    LOGIN,
    MEMBER,
    MEMBER_URLS,
    OWN,
    OWN_TOKENS,
    PARTS,
    PUBLIC,
    SIGNED_IN,
    STREAM,
    TOKEN_URLS,
    WORKSPACE_URLS,
    WRONG_METHOD,
)
from deployments.tests.one_of_everything import furnish, furnish_alerts
from workspaces import hooks
from workspaces.actions import invitations, tokens
from workspaces.actions.tokens import Scope, TokenWish
from workspaces.models import User
from workspaces.permissions import Role


def every_name() -> set[str]:
    names = set()

    def walk(patterns, namespace):
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                inner = pattern.namespace or ""
                walk(pattern.url_patterns, f"{namespace}{inner}:" if inner else namespace)
            elif isinstance(pattern, URLPattern):
                names.add(f"{namespace}{pattern.name}")

    walk(get_resolver().url_patterns, "")
    return names


def test_every_url_is_listed_here():
    listed = {name for name, _ in (*ALL_URLS, *WRONG_METHOD)}
    listed |= SIGNED_IN.keys() | PUBLIC.keys() | STREAM | INVITED | ELSEWHERE | OWN_TOKENS | OWN | IDENTITY
    strange = {n for n in every_name() - listed if not n.startswith((*ACCOUNTS, "admin:", "api:"))}
    assert strange == set(), f"Say in this table who may do what: {strange}"
    assert admin.site.urls


@pytest.fixture
def operator(db):
    return User.objects.create_superuser("operator@example.org", "correct horse battery", name="Olga")


@pytest.fixture
def people(alice, bob, vera, charlie, operator):
    return {
        "alice": (alice, ADMIN),
        "bob": (bob, EDITOR),
        "vera": (vera, MEMBER),
        "charlie": (charlie, ANYONE),
        "operator": (operator, ANYONE),  # administers the site, and belongs to no Workspace of others
    }


@pytest.fixture
def api_token(alice):
    """An API token of this scope, made by Alice."""
    return lambda scope: tokens.make(scope=scope, by=alice, wish=TokenWish("ci", "", Role.MEMBER)).token


def find(kind, row):
    return hooks.content_of(kind).find(row.workspace_id, row.pk)


@pytest.fixture
def parts(deployment, api_token):
    """The second argument of what is one thing of the Deployment, by its table."""
    furnish(deployment)
    token = api_token(Scope(deployment.workspace, "deployment", find("deployment", deployment)))
    rule = deployment.alert_rules.get()
    words = ("default", "REGION", uuid4(), 1, "scheduler", uuid4(), 1, token.pk, "on", rule.pk, "unhealthy")
    return tuple(zip(PARTS, words, strict=True))


@pytest.fixture
def url_of(workspace, deployment, parts, api_token, alice, bob, settings):
    """The URL of a name in the table; with `missing`, of something that does not exist."""
    settings.AIRFLOW_PASSWORD = True  # where it is kept Editors see it, elsewhere nobody
    invitation = (
        invitations.invite(workspace=workspace, by=alice, emails=["ida@example.org"], role=Role.MEMBER)
        .made[0]
        .invitation
    )

    token = api_token(Scope(workspace))
    of_alerts = furnish_alerts(workspace)

    def make(name, *, missing=False):
        place = uuid4() if missing else workspace.pk
        for table, args in (
            (WORKSPACE_URLS, [place]),
            (MEMBER_URLS, [place, bob.pk]),
            (INVITATION_URLS, [place, invitation.pk]),
            (TOKEN_URLS, [place, token.pk]),
            (ALERT_URLS, [place, of_alerts.get(name.removeprefix("deployments:"))]),
        ):
            if any(name == listed for listed, _ in table):
                return reverse(name, args=args)
        release = "no-such-0000" if missing else deployment.release_name
        for table, part in parts:
            if any(name == listed for listed, _ in table):
                return reverse(name, args=[release, part])
        return reverse(name, args=[release])

    return make


class Undone(Exception):
    """Takes back what a request changed."""


def answer_to(client, method, url) -> int | str:
    """The status, or LOGIN; whatever was changed is as before."""
    try:
        with transaction.atomic():
            answer = getattr(client, method)(url)
            raise Undone
    except Undone:
        asked_to_sign_in = answer.headers.get("Location", "").startswith("/accounts/login/?next=")
        return LOGIN if answer.status_code == 302 and asked_to_sign_in else answer.status_code


# One test for a whole table, or for half of it: what costs is to make the cast.


def at_the_border(role: int, needed: int) -> bool:
    """Whether somebody with this role is the last that may, the first that may not, or a stranger."""
    return role in {needed, needed - 1, ANYONE}


# `make test-quick` asks those at the border, and `make test` the others, too.
@pytest.mark.parametrize("border", [True, pytest.param(False, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("asked", ["get", "post"])
def test_who_may_do_what(client, as_, people, url_of, asked, border):
    clients = {who: as_(user) for who, (user, _) in people.items()}
    wrong = {}
    for (name, method), (needed, allowed) in ALL_URLS.items():
        if method != asked:
            continue
        url = url_of(name)
        expected: dict[str, int | str] = {"anonymous": LOGIN} if border else {}
        answers = {who: answer_to(client, method, url) for who in expected}
        for who, (_, role) in people.items():
            if at_the_border(role, needed) is border:
                expected[who] = 404 if role == ANYONE else allowed if role >= needed else 403
                answers[who] = answer_to(clients[who], method, url)
        if answers != expected:
            wrong[name, method] = (answers, expected)
    assert wrong == {}


def test_wrong_methods_are_refused(as_, alice, url_of):
    client = as_(alice)
    answers = {(name, method): answer_to(client, method, url_of(name)) for name, method in WRONG_METHOD}
    assert answers == dict.fromkeys(WRONG_METHOD, 405)


@pytest.mark.parametrize(("name", "status"), SIGNED_IN.items())
def test_personal_pages_need_a_sign_in(client, as_, alice, name, status):
    assert client.get(reverse(name)).status_code == 302
    assert as_(alice).get(reverse(name)).status_code == status


@pytest.mark.parametrize(("name", "status"), PUBLIC.items())
def test_public_pages_need_none(client, db, name, status):
    assert client.get(reverse(name)).status_code == status


def test_a_stranger_cannot_tell_what_exists(as_, charlie, url_of):
    client = as_(charlie)
    moving = re.compile(r'data-now="[^"]*"|Request <code>[^<]*</code>|csrfmiddlewaretoken" value="[^"]*"')
    for name, method in ALL_URLS:
        existing, missing = url_of(name), url_of(name, missing=True)
        assert existing != missing, name
        getattr(client, method)(missing)  # what is done once: a counter of the rate limit is made
        answers, work = [], []
        for url in (existing, missing):
            with CaptureQueriesContext(connection) as queries:
                answers.append(getattr(client, method)(url))
            work.append([re.sub(r"'[^']*'|[0-9]+", "?", query["sql"]) for query in queries])
        real, none = answers
        assert (real.status_code, none.status_code) == (404, 404), (name, method)
        assert work[0] == work[1], (name, method)  # the same queries take the same time
        pages = [moving.sub("", answer.content.decode()) for answer in (real, none)]
        assert "nothing at this address" in pages[0], (name, method)
        assert pages[0].replace(existing, "") == pages[1].replace(missing, ""), (name, method)


@pytest.mark.django_db(transaction=True)
def test_the_stream_is_for_members(workspace, deployment, alice, charlie):
    url = reverse("deployments:stream", args=[workspace.pk])

    async def ask(user):
        try:
            return await listen(user)
        finally:  # the thread in which the test client signs in holds a connection of its own
            await sync_to_async(connections.close_all)()

    async def listen(user):
        client = AsyncClient()
        if user:
            await client.aforce_login(user)
        response = await client.get(url)
        if response.streaming:
            chunks = aiter(response.streaming_content)
            first = await asyncio.wait_for(anext(chunks), 20)
            await chunks.aclose()
            return response.status_code, first
        return response.status_code, b""

    assert asyncio.run(ask(None)) == (401, b"")
    assert asyncio.run(ask(charlie)) == (404, b"")
    status, first = asyncio.run(ask(alice))
    assert status == 200
    assert first.startswith(b"event: resync")  # no `since`: told to catch up
