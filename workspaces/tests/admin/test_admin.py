"""The operators' side: who gets in and how, what the buttons on people and Workspaces do, and the files it gives."""

import csv
import io
import threading

import pytest
from allauth.mfa.totp.internal import auth as totp
from django.core.cache import cache
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django.urls import reverse

from console.kit.csv_file import cell
from console.kit.refusals import ActionRefused
from workspaces.actions import operators
from workspaces.models import AuditEvent, Membership, User, Workspace

pytestmark = pytest.mark.django_db
STRONG = "a long enough passphrase"


@pytest.fixture(autouse=True)
def _no_counted_attempts(db):
    cache.clear()


def changelist(model: type) -> str:
    return reverse(f"admin:workspaces_{model._meta.model_name}_changelist")


def page(row) -> str:
    return reverse(f"admin:workspaces_{row._meta.model_name}_change", args=[row.pk])


def press(client: Client, name: str, *rows, confirmed: bool = True):
    """Run an entry of the Action menu on these rows of a list."""
    data = {"action": name, "_selected_action": [row.pk for row in rows]}
    data |= {"confirmed": "yes"} if confirmed else {"index": "0"}
    return client.post(changelist(type(rows[0])), data, follow=True)


def message(answer) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def last_event() -> AuditEvent:
    return AuditEvent.objects.latest("pk")


def test_strangers_are_sent_to_the_consoles_own_sign_in_and_come_back(client, olga):
    first = client.get("/admin/workspaces/user/?q=ann")
    assert first.status_code == 302
    assert first["Location"] == "/accounts/login/?next=%2Fadmin%2Fworkspaces%2Fuser%2F%3Fq%3Dann"
    answer = client.post(
        first["Location"], {"login": "olga@example.org", "password": "correct horse battery"}
    )
    assert answer["Location"] == "/admin/workspaces/user/?q=ann"
    assert client.get(answer["Location"]).status_code == 200


def test_an_operator_with_a_second_factor_needs_it_here_too(client, olga):
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(olga, secret)
    answer = client.post(
        "/accounts/login/?next=/admin/", {"login": olga.email, "password": "correct horse battery"}
    )
    assert answer["Location"].startswith("/accounts/2fa/authenticate/")
    assert client.get("/admin/")["Location"].startswith("/accounts/login/")
    counter = next(totp.yield_hotp_counters_from_time()) + 1
    code = totp.format_hotp_value(totp.hotp_value(secret, counter))
    assert client.post(answer["Location"], {"code": code})["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize("url", ["/admin/", "/admin/login/", "/admin/workspaces/user/", "/admin/nowhere/"])
def test_people_without_the_right_get_403_in_words(as_, alice, url):
    for answer in (as_(alice).get(url), as_(alice).post(url, {"username": "x", "password": "y"})):
        assert answer.status_code == 403
        assert b"Your account does not allow this." in answer.content


def test_a_blocked_operator_is_out_at_once(as_, olga):
    client = as_(olga)
    User.objects.filter(pk=olga.pk).update(is_active=False)
    assert client.get("/admin/").status_code == 302


def test_there_is_no_second_way_to_sign_in(client, olga):
    answer = client.post(
        "/admin/login/", {"username": "olga@example.org", "password": "correct horse battery"}
    )
    assert answer["Location"].startswith("/accounts/login/")
    assert "_auth_user_id" not in client.session


def test_password_and_sign_out_are_the_consoles_own(as_, olga):
    client = as_(olga)
    assert client.get("/admin/password_change/")["Location"] == reverse("account_change_password")
    assert client.post("/admin/logout/")["Location"] == reverse("account_logout")
    index = client.get("/admin/").content.decode()
    assert 'action="/accounts/logout/"' in index
    assert "Airdeck administration" in index


def test_createsuperuser_makes_an_operator_who_can_sign_in(client, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", STRONG)
    call_command("createsuperuser", interactive=False, email="Root@Example.org", verbosity=0)
    root = User.objects.get(email="root@example.org")
    assert root.is_staff
    client.post("/accounts/login/", {"login": "ROOT@example.org", "password": STRONG})
    assert client.get("/admin/").status_code == 200


def test_only_operators_find_the_link(as_, olga, alice, workspace):
    link = 'href="/admin/"'
    assert link in as_(olga).get("/account/").content.decode()
    assert link not in as_(alice).get("/account/").content.decode()


def test_suspending_is_confirmed_then_audited_and_pressing_twice_is_once(as_, olga, workspace):
    client = as_(olga)
    asked = press(client, "suspend", workspace, confirmed=False)
    assert "can change nothing" in asked.content.decode()
    assert 'name="_selected_action" value="' + str(workspace.pk) in asked.content.decode()
    workspace.refresh_from_db()
    assert workspace.suspended_at is None
    assert message(press(client, "suspend", workspace)) == [
        "Acme Data is suspended. Its Deployments keep running."
    ]
    workspace.refresh_from_db()
    assert workspace.suspended_at is not None
    event = last_event()
    assert (event.actor_id, event.verb, event.object_id) == (olga.pk, "suspended", str(workspace.pk))
    assert event.workspace_id == workspace.pk
    assert message(press(client, "suspend", workspace)) == ["Acme Data was suspended already."]
    assert last_event().pk == event.pk
    assert message(press(client, "resume", workspace)) == ["Acme Data is resumed."]
    assert last_event().verb == "resumed"


def test_a_button_on_the_page_of_a_row_does_the_same(as_, olga, workspace):
    data = {"CHANGE_FORM-action": "suspend", "_selected_action": str(workspace.pk), "index": "0"}
    asked = as_(olga).post(page(workspace), data)
    hidden = dict(asked.context["hidden"])
    assert hidden == {"CHANGE_FORM-action": "suspend", "_selected_action": str(workspace.pk)}
    answer = as_(olga).post(page(workspace), {**hidden, "confirmed": "yes"}, follow=True)
    assert message(answer) == ["Acme Data is suspended. Its Deployments keep running."]


def test_in_a_suspended_workspace_everything_is_seen_and_nothing_changed(as_, alice, olga, workspace):
    operators.suspend_workspace(workspace=workspace, by=olga)
    client = as_(alice)
    seen = client.get(workspace.url)
    assert seen.status_code == 200
    assert "This Workspace is suspended" in seen.content.decode()
    settings = client.post(reverse("workspace_settings", args=[workspace.pk]), {"name": "Other"})
    assert settings.status_code == 403
    assert b"suspended this Workspace" in settings.content
    workspace.refresh_from_db()
    assert workspace.name == "Acme Data"
    operators.resume_workspace(workspace=workspace, by=olga)
    assert client.get(reverse("workspace_settings", args=[workspace.pk])).status_code == 200


def test_a_member_without_the_right_is_told_of_the_role_also_while_suspended(as_, vera, olga, workspace):
    operators.suspend_workspace(workspace=workspace, by=olga)
    answer = as_(vera).get(reverse("workspace_settings", args=[workspace.pk]))
    assert answer.status_code == 403
    assert b"This needs the role Admin" in answer.content


def test_blocking_ends_sessions_and_is_audited(as_, olga, alice, workspace):
    theirs, client = as_(alice), as_(olga)
    assert theirs.get(workspace.url).status_code == 200
    assert message(press(client, "block", alice)) == ["Alice is blocked and can no longer sign in."]
    assert theirs.get(workspace.url).status_code == 302
    assert (last_event().actor_id, last_event().verb, last_event().object_id) == (
        olga.pk,
        "blocked",
        str(alice.pk),
    )
    press(client, "unblock", alice)
    assert last_event().verb == "unblocked"
    assert as_(alice).get(workspace.url).status_code == 200


def test_a_session_that_a_block_ended_does_not_come_back_with_the_account(as_, olga, alice, workspace):
    theirs, client = Client(), as_(olga)
    theirs.post("/accounts/login/", {"login": alice.email, "password": "correct horse battery"})
    assert theirs.get(workspace.url).status_code == 200
    press(client, "block", alice)
    press(client, "unblock", alice)
    assert theirs.get(workspace.url).status_code == 302


def test_nobody_takes_the_right_from_themselves(as_, olga):
    for name in ("block", "take_site_administration_away"):
        assert "Ask another site administrator." in message(press(as_(olga), name, olga))[0]
    olga.refresh_from_db()
    assert olga.is_staff
    assert olga.is_active
    assert not AuditEvent.objects.filter(object_id=olga.pk).exists()


def test_an_operator_makes_another_and_takes_it_back(as_, olga, alice):
    client = as_(olga)
    press(client, "make_site_administrator", alice)
    assert last_event().verb == "gave administration to"
    assert as_(alice).get("/admin/").status_code == 200
    press(client, "take_site_administration_away", alice)
    assert last_event().verb == "took administration from"
    assert as_(alice).get("/admin/").status_code == 403


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", [operators.unmake_operator, operators.block_user])
@pytest.mark.usefixtures("patient")
def test_two_operators_who_remove_each_other_at_the_same_instant_leave_one(act):
    one, two = (User.objects.create_superuser(f"{name}@example.org", STRONG) for name in ("one", "two"))
    barrier, refused = threading.Barrier(2), []

    def go(user, by):
        barrier.wait()
        try:
            act(user=user, by=by)
        except ActionRefused as refusal:
            refused.append(refusal.sentence)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=go, args=pair) for pair in ((one, two), (two, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["You are no longer a site administrator."]
    assert User.objects.filter(is_staff=True, is_active=True).count() == 1


def test_typing_over_rows_changes_nothing(as_, olga, alice, workspace):
    client = as_(olga)
    membership = Membership.objects.get(user=alice)
    event = last_event()
    for row, data in (
        (alice, {"email": "evil@example.org", "is_staff": "on", "password": "x"}),
        (workspace, {"name": "Evil"}),
        (membership, {"role": "member"}),
        (event, {"verb": "nothing"}),
    ):
        before = type(row).objects.filter(pk=row.pk).values().get()
        for extra in ({}, {"_save": "Save"}, {"_saveasnew": "1"}):
            assert client.post(page(row), data | extra).status_code == 403
        assert client.post(f"{changelist(type(row))}add/", data).status_code == 403
        delete = reverse(f"admin:workspaces_{row._meta.model_name}_delete", args=[row.pk])
        assert client.post(delete, {"post": "yes"}).status_code == 403
        press(client, "delete_selected", row)
        assert type(row).objects.filter(pk=row.pk).values().get() == before


def test_the_file_of_a_list_has_no_formulas_and_is_audited(as_, olga, workspace):
    Workspace.objects.filter(pk=workspace.pk).update(name='=HYPERLINK("http://x")')
    answer = press(as_(olga), "export_csv", workspace)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["name"] for row in rows] == ['\'=HYPERLINK("http://x")']
    assert (last_event().actor_id, last_event().verb, last_event().object_label) == (
        olga.pk,
        "exported",
        "1 Workspaces",
    )


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1"])
def test_a_formula_gets_an_apostrophe(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    ("value", "text"), [(-1, "-1"), ("a=b", "a=b"), (None, ""), ("", ""), (True, "True")]
)
def test_what_is_no_formula_stays_as_it_is(value, text):
    assert cell(value) == text


def test_too_many_rows_for_one_press_are_refused(as_, olga, monkeypatch):
    monkeypatch.setattr("workspaces.operator_site.AT_ONCE", 2)
    rows = Workspace.objects.bulk_create(Workspace(name=f"W{n}") for n in range(3))
    assert message(press(as_(olga), "suspend", *rows)) == ["Choose at most 2 rows at once."]
    assert not Workspace.objects.filter(suspended_at__isnull=False).exists()


def test_history_is_the_audit_of_the_row(as_, olga, alice, workspace):
    operators.suspend_workspace(workspace=workspace, by=olga)
    url = reverse("admin:workspaces_workspace_history", args=[workspace.pk])
    answer = as_(olga).get(url, follow=True)
    assert [event.verb for event in answer.context["cl"].result_list] == ["suspended", "created"]
