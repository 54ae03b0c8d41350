"""Pages of API tokens: made, shown once, listed without their value, rotated, revoked; and the mail before they end."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conftest import PASSWORD
from console.tests.html_rules import complaints
from workspaces import tasks, token_values
from workspaces.actions import members, tokens
from workspaces.actions.tokens import Scope, TokenWish
from workspaces.models import ApiToken, AuditEvent
from workspaces.permissions import Role


@pytest.fixture
def fresh(as_):
    """Signed in, and just now asked who it is."""

    def sign_in(user):
        client = as_(user)
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        return client

    return sign_in


@pytest.fixture
def url(workspace) -> str:
    return f"/w/{workspace.pk}/tokens/"


WISH = {"name": "GitHub Actions", "description": "Deploys main.", "role": "editor", "days": "90"}


def value_in(response) -> str:
    found = set(token_values.found_in(response.content.decode()))
    assert len(found) == 1
    return found.pop()


def made(scope, by, name="ci", role=Role.EDITOR, days=90) -> ApiToken:
    return tokens.make(scope=scope, by=by, wish=TokenWish(name, "", role, days)).token


def test_a_token_is_shown_once_and_listed_by_its_first_characters(fresh, alice, workspace, url):
    client = fresh(alice)
    answer = client.post(f"{url}new/", WISH)
    value = value_in(answer)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert f"AIRDECK_TOKEN={value}" in answer.content.decode()
    assert complaints(answer.content.decode()) == []
    row = ApiToken.objects.get()
    assert (row.name, row.description, row.role, row.kind) == (
        "GitHub Actions",
        "Deploys main.",
        "editor",
        "w",
    )
    assert timedelta(days=89) < row.expires_at - timezone.now() <= timedelta(days=90)
    page = client.get(url).content.decode()
    assert complaints(page) == []
    for words in ("GitHub Actions", row.beginning, "Deploys main.", "alice@example.org", "Not used yet"):
        assert words in page
    assert value not in page
    event = AuditEvent.objects.get(object_type="token")
    assert (event.verb, event.object_label) == ("created", "GitHub Actions")
    assert value not in str(event.__dict__)


@pytest.mark.parametrize("page", ["new/", "{0}/rotate/"])
def test_who_signed_in_long_ago_is_asked_first(as_, alice, workspace, url, page):
    row = made(Scope(workspace), alice)
    for method in ("get", "post"):
        answer = getattr(as_(alice), method)(url + page.format(row.pk), WISH)
        assert answer.status_code == 302
        assert "reauthenticate" in answer["Location"]
    assert ApiToken.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 257}, "name"),
        ({"description": "x" * 501}, "description"),
        ({"role": "king"}, "role"),
        ({"days": "0"}, "days"),
        ({"days": "3651"}, "days"),
        ({"days": "soon"}, "days"),
    ],
)
def test_what_is_wrong_is_told_beside_the_field(fresh, alice, workspace, url, change, field):
    answer = fresh(alice).post(f"{url}new/", {**WISH, **change})
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert complaints(answer.content.decode()) == []
    assert not ApiToken.objects.exists()


def test_the_action_judges_by_itself(alice, bob, workspace):
    with pytest.raises(tokens.InvalidInput) as refused:
        tokens.make(scope=Scope(workspace), by=alice, wish=TokenWish("", "x" * 501, Role.ADMIN, 0))
    assert set(refused.value.problems) == {"name", "description", "days"}
    with pytest.raises(Exception, match="manage_tokens"):
        tokens.make(scope=Scope(workspace), by=bob, wish=TokenWish("ci", "", Role.MEMBER))


def test_no_days_are_for_ever_and_a_deployment_s_token_is_never_admin(fresh, alice, workspace, deployment):
    client = fresh(alice)
    url = f"/deployments/{deployment.release_name}/tokens/"
    assert client.post(f"{url}new/", {**WISH, "role": "admin"}).status_code == 422
    assert value_in(client.post(f"{url}new/", {**WISH, "days": ""})).startswith("adk_d_")
    row = ApiToken.objects.get()
    assert (row.expires_at, row.content_kind, row.content_id) == (None, "deployment", deployment.pk)
    assert "Never expires" in client.get(url).content.decode()
    assert "GitHub Actions" not in client.get(f"/w/{workspace.pk}/tokens/").content.decode()


def test_rotating_shows_the_new_value_and_revoking_ends_it(fresh, alice, workspace, url):
    client = fresh(alice)
    old = value_in(client.post(f"{url}new/", WISH))
    row = ApiToken.objects.get()
    page = client.get(f"{url}{row.pk}/rotate/").content.decode()
    assert "Rotate GitHub Actions?" in page
    assert complaints(page) == []
    new = value_in(client.post(f"{url}{row.pk}/rotate/"))
    row.refresh_from_db()
    assert new != old
    assert row.digest == token_values.digest(new)
    assert "Rotated <time" in client.get(url).content.decode()
    assert "Revoke GitHub Actions?" in client.get(f"{url}{row.pk}/revoke/").content.decode()
    assert client.post(f"{url}{row.pk}/revoke/").status_code == 303
    assert "No API tokens" in client.get(url).content.decode()
    for page in ("rotate", "revoke"):
        assert client.get(f"{url}{row.pk}/{page}/").status_code == 404


def test_members_see_tokens_and_have_no_button(as_, alice, vera, workspace, url):
    made(Scope(workspace), alice, name="nightly")
    page = as_(vera).get(url).content.decode()
    assert "nightly" in page
    assert "Create API token" not in page
    assert "Revoke" not in page
    assert "Alice can create them." in page


def test_the_tokens_of_others_are_not_one_s_own(fresh, alice, bob, workspace):
    row = made(Scope(None), alice, name="mine")
    client = fresh(bob)
    assert "mine" not in client.get("/account/tokens/").content.decode()
    for page in ("rotate", "revoke"):
        assert client.post(f"/account/tokens/{row.pk}/{page}/").status_code == 404
    assert "mine" in fresh(alice).get("/account/tokens/").content.decode()
    assert value_in(fresh(bob).post("/account/tokens/new/", WISH)).startswith("adk_u_")
    ApiToken.objects.get(pk=row.pk, revoked_at__isnull=True)


def test_a_token_says_why_it_rests_and_what_caps_it(as_, alice, bob, workspace, url):
    members.change_role(workspace=workspace, by=alice, user_id=bob.pk, role=Role.ADMIN)
    made(Scope(workspace), bob, name="bobs", role=Role.ADMIN)
    members.change_role(workspace=workspace, by=alice, user_id=bob.pk, role=Role.MEMBER)
    assert "Admin, at most Member like the person who created it" in as_(alice).get(url).content.decode()
    removing = as_(alice).get(f"/w/{workspace.pk}/members/{bob.pk}/remove/").content.decode()
    assert (
        "1 API token that they created stops working until an Admin takes it over by rotating it." in removing
    )
    members.remove(workspace=workspace, by=alice, user_id=bob.pk)
    assert "Created by a former member, so it does not work." in as_(alice).get(url).content.decode()
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(days=2))
    assert "Expired. Rotate it" in as_(alice).get(url).content.decode()
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(days=31))
    assert "bobs" not in as_(alice).get(url).content.decode()


def test_there_are_so_many_and_no_more(alice, workspace, monkeypatch):
    monkeypatch.setattr(tokens, "PER_SCOPE", 2)
    monkeypatch.setattr(tokens, "PER_PERSON", 1)
    first = made(Scope(workspace), alice)
    made(Scope(workspace), alice)
    made(Scope(None), alice)
    for scope in (Scope(workspace), Scope(None)):
        with pytest.raises(tokens.TooManyTokens, match=r"Revoke one first\."):
            made(scope, alice)
    tokens.revoke(scope=Scope(workspace), by=alice, pk=first.pk)
    made(Scope(workspace), alice)


def test_the_list_costs_the_same_at_any_length(as_, alice, workspace, url):
    client = as_(alice)
    client.get(url)
    counts = []
    for number in range(2):
        for _ in range(1 + 4 * number):
            made(Scope(workspace), alice)
        with CaptureQueriesContext(connection) as queries:
            client.get(url)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_people_are_told_a_week_and_a_day_before_a_token_ends(alice, bob, workspace, deployment):
    row = made(Scope(workspace), alice, name="nightly", days=30)
    own = made(Scope(None), bob, name="laptop", days=30)
    made(Scope(workspace), alice, name="short", days=1)
    tasks.sweep_mail()
    mail.outbox.clear()  # that Bob has one
    tasks.sweep_mail()
    assert mail.outbox == []
    ApiToken.objects.filter(pk__in=[row.pk, own.pk]).update(expires_at=timezone.now() + timedelta(days=6))
    ApiToken.objects.update(created_at=timezone.now() - timedelta(days=24))
    ApiToken.objects.filter(name="short").update(created_at=timezone.now())
    tasks.sweep_mail()
    tasks.sweep_mail()
    assert sorted(address for letter in mail.outbox for address in letter.to) == [
        "alice@example.org",
        "bob@example.org",
    ]
    letter = next(each for each in mail.outbox if each.to == ["alice@example.org"])
    assert letter.subject.startswith("An API token expires on ")
    assert letter.subject.endswith(": nightly")
    assert f"/w/{workspace.pk}/tokens/" in letter.body
    assert row.beginning in letter.body
    ApiToken.objects.filter(pk__in=[row.pk, own.pk]).update(expires_at=timezone.now() + timedelta(hours=20))
    tasks.sweep_mail()
    tasks.sweep_mail()
    assert len(mail.outbox) == 4
    tokens.rotate(scope=Scope(workspace), by=alice, pk=row.pk)
    assert ApiToken.objects.get(pk=row.pk).warned_days is None


def test_a_person_is_told_of_each_new_value_of_a_personal_token_once(alice, bob, workspace):
    made(Scope(workspace), alice, name="of the team")
    row = tokens.make(scope=Scope(None), by=bob, wish=TokenWish("cron", "", Role.EDITOR, days=None)).token
    tasks.sweep_mail()
    tasks.sweep_mail()
    [letter] = mail.outbox
    assert letter.to == ["bob@example.org"]
    assert letter.subject == "Your personal API token was created: cron"
    assert "and never expires" in letter.body
    assert "/account/tokens/" in letter.body
    tokens.rotate(scope=Scope(None), by=bob, pk=row.pk)
    tokens.revoke(scope=Scope(None), by=bob, pk=row.pk)  # by whom it is no secret
    tasks.sweep_mail()
    assert mail.outbox[-1].subject == "Your personal API token was rotated: cron"
    assert len(mail.outbox) == 2


def test_the_mail_of_a_new_token_waits_for_the_mail_server_and_not_for_ever(bob, monkeypatch):
    made(Scope(None), bob)
    with monkeypatch.context() as patch:
        patch.setattr(
            "django.core.mail.EmailMessage.send", lambda self: (_ for _ in ()).throw(OSError("away"))
        )
        tasks.sweep_mail()
    tasks.sweep_mail()
    assert mail.outbox == []
    ApiToken.objects.update(mail_due_at=timezone.now())
    tasks.sweep_mail()
    assert len(mail.outbox) == 1
    made(Scope(None), bob, name="older")
    ApiToken.objects.update(created_at=timezone.now() - timedelta(days=4))
    tasks.sweep_mail()
    assert len(mail.outbox) == 1


def test_a_mail_server_that_is_away_is_tried_again(alice, workspace, monkeypatch):
    row = made(Scope(workspace), alice, days=30)
    ApiToken.objects.update(
        expires_at=timezone.now() + timedelta(days=6), created_at=timezone.now() - timedelta(days=24)
    )
    with monkeypatch.context() as patch:
        patch.setattr(
            "django.core.mail.EmailMessage.send", lambda self: (_ for _ in ()).throw(OSError("away"))
        )
        tasks.sweep_mail()
    row.refresh_from_db()
    assert row.warned_days is None
    assert row.mail_due_at > timezone.now()
    ApiToken.objects.update(mail_due_at=timezone.now())
    tasks.sweep_mail()
    assert len(mail.outbox) == 1


def test_no_value_is_in_a_list_or_a_repr(alice, workspace):
    made_now = tokens.make(scope=Scope(workspace), by=alice, wish=TokenWish("ci", "", Role.MEMBER))
    assert made_now.value not in repr(made_now)
    assert not re.search(r"adk_w_\w{20}", repr(made_now))
