"""Members, roles, leaving; Workspaces and accounts that go."""

import pytest
from django.urls import reverse

from console.kit.refusals import ActionRefused
from workspaces.access import MissingPermission
from workspaces.actions import invitations, members
from workspaces.actions.workspaces import create_workspace, delete_account
from workspaces.models import AuditEvent, Invitation, Membership, User, Workspace
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


def page(client, workspace, query=""):
    return client.get(reverse("members", args=[workspace.pk]) + query).content.decode()


def role_of(user, workspace) -> str:
    return Membership.objects.get(user=user, workspace=workspace).role


def test_the_page_shows_everybody_and_who_is_invited(as_, alice, bob, vera, workspace):
    invitations.invite(workspace=workspace, by=alice, emails=["ida@example.org"], role=Role.EDITOR)
    html = page(as_(alice), workspace)
    for text in (
        "Alice",
        "bob@example.org",
        "Vera",
        "ida@example.org",
        ">in 7 days<",
        "Sending",
    ):
        assert text in html


@pytest.mark.parametrize("query", ["", "?page=2", "?q=bob", "?role=member"])
def test_how_many_are_invited_is_said_whatever_is_shown(as_, alice, bob, workspace, monkeypatch, query):
    monkeypatch.setattr("workspaces.pages.members.PAGE_SIZE", 1)
    invitations.invite(workspace=workspace, by=alice, emails=["ida@example.org"], role=Role.EDITOR)
    assert "2 members, 1 invited." in page(as_(alice), workspace, query)


@pytest.mark.parametrize(
    ("query", "there", "absent"),
    [
        ("?q=BOB", "bob@example.org", "vera@example.org"),
        ("?q=vera%40", "vera@example.org", "bob@example.org"),
        ("?q=ida", "ida@example.org", "bob@example.org"),
        ("?role=member", "vera@example.org", "bob@example.org"),
        ("?role=nonsense", "bob@example.org", "nobody"),
        ("?q=nobody-like-this", "No matches", "bob@example.org"),
    ],
)
def test_members_are_found_by_name_address_and_role(as_, alice, bob, vera, workspace, query, there, absent):
    invitations.invite(workspace=workspace, by=alice, emails=["ida@example.org"], role=Role.EDITOR)
    html = page(as_(alice), workspace, query)
    assert there in html
    assert absent not in html


def test_the_number_of_queries_does_not_grow_with_members(
    as_, alice, workspace, django_assert_num_queries, django_assert_max_num_queries
):
    client = as_(alice)
    page(client, workspace)
    with django_assert_max_num_queries(9) as few:
        page(client, workspace)
    people = User.objects.bulk_create(User(email=f"p{n}@example.org") for n in range(120))
    Membership.objects.bulk_create(
        Membership(workspace=workspace, user=user, role=Role.MEMBER) for user in people
    )
    invitations.invite(
        workspace=workspace, by=alice, emails=[f"i{n}@example.org" for n in range(50)], role=Role.MEMBER
    )
    with django_assert_num_queries(len(few)):
        html = page(client, workspace)
    assert html.count("Remove…") == 49  # the first of three pages, Alice's own row aside
    assert html.count("Send again") == 50
    second = page(client, workspace, "?page=2")
    assert second.count("Remove…") == 50
    assert "Send again" not in second


def test_a_member_sees_no_control_that_would_be_refused(as_, vera, workspace):
    html = page(as_(vera), workspace)
    assert "Invite people" not in html
    assert "Remove…" not in html
    assert "<select" not in html.split("</form>", 1)[1].split("Leave…")[0].split("<table")[1]
    assert "Alice can invite people" in html
    assert "Leave…" in html


def test_an_admin_changes_a_role_and_it_is_written_down(as_, alice, bob, workspace):
    url = reverse("member_role", args=[workspace.pk, bob.pk])
    answer = as_(alice).post(url, {"role": "admin"}, follow=True)
    assert "Bob has the role Admin." in answer.content.decode()
    assert role_of(bob, workspace) == Role.ADMIN
    event = AuditEvent.objects.get(verb="changed the role of")
    assert (event.old, event.new, event.object_label) == (
        {"role": "editor"},
        {"role": "admin"},
        "bob@example.org",
    )
    as_(alice).post(url, {"role": "admin"})
    assert AuditEvent.objects.filter(verb="changed the role of").count() == 1


def test_a_role_that_does_not_exist_is_refused(as_, alice, bob, workspace):
    answer = as_(alice).post(
        reverse("member_role", args=[workspace.pk, bob.pk]), {"role": "owner"}, follow=True
    )
    assert "Choose a role from the list." in answer.content.decode()
    assert role_of(bob, workspace) == Role.EDITOR


def test_the_only_admin_has_words_in_place_of_a_control(as_, alice, bob, workspace):
    html = page(as_(alice), workspace)
    assert "The only Admin. To change that, make someone else Admin first." in html
    assert "Leave…" not in html
    assert "Role of Alice" not in html
    assert "Role of Bob" in html


@pytest.mark.parametrize(
    "act",
    [
        lambda w, u: members.change_role(workspace=w, by=u, user_id=u.pk, role=Role.MEMBER),
        lambda w, u: members.remove(workspace=w, by=u, user_id=u.pk),
        lambda w, u: members.leave(workspace=w, by=u),
    ],
    ids=["demoting", "removing", "leaving"],
)
def test_the_only_admin_stays(alice, bob, workspace, act):
    with pytest.raises(ActionRefused, match="Alice is the only Admin of Acme Data"):
        act(workspace, alice)
    assert role_of(alice, workspace) == Role.ADMIN


def test_the_right_is_asked_again_when_it_is_used(alice, bob, vera, workspace):
    with pytest.raises(MissingPermission):
        members.change_role(workspace=workspace, by=bob, user_id=vera.pk, role=Role.ADMIN)
    with pytest.raises(MissingPermission):
        invitations.invite(workspace=workspace, by=bob, emails=["x@example.org"], role=Role.MEMBER)


def test_a_removed_member_is_a_stranger_at_the_next_request(as_, alice, bob, workspace):
    client = as_(bob)
    assert client.get(workspace.url).status_code == 200
    as_(alice).post(reverse("member_remove", args=[workspace.pk, bob.pk]))
    assert client.get(workspace.url).status_code == 404
    assert AuditEvent.objects.get(verb="removed").object_label == "bob@example.org"


def test_a_demoted_admin_is_answered_by_the_new_role(as_, alice, bob, workspace):
    Membership.objects.filter(user=bob).update(role=Role.ADMIN)
    client = as_(bob)
    invite = reverse("members_invite", args=[workspace.pk])
    assert client.get(invite).status_code == 200
    members.change_role(workspace=workspace, by=alice, user_id=bob.pk, role=Role.MEMBER)
    refused = client.get(invite)
    assert refused.status_code == 403
    assert "the role Admin" in refused.content.decode()
    assert "Alice" in refused.content.decode()


def test_somebody_else_s_member_is_not_there(as_, alice, charlie, workspace):
    assert as_(alice).get(reverse("member_remove", args=[workspace.pk, charlie.pk])).status_code == 404


def test_leaving(as_, vera, workspace):
    client = as_(vera)
    assert "Leave Acme Data?" in client.get(reverse("workspace_leave", args=[workspace.pk])).content.decode()
    client.post(reverse("workspace_leave", args=[workspace.pk]))
    assert not Membership.objects.filter(user=vera).exists()
    assert AuditEvent.objects.get(verb="left").actor_label == "vera@example.org"


def test_a_workspace_with_a_deployment_stays_and_says_why(as_, alice, deployment, workspace):
    url = reverse("workspace_delete", args=[workspace.pk])
    sentence = "1 Deployment is in it. Delete it first"
    assert sentence in as_(alice).get(url).content.decode()
    answer = as_(alice).post(url, {"confirm": workspace.name})
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert Workspace.objects.filter(pk=workspace.pk).exists()


def test_an_empty_workspace_goes_by_its_name(as_, alice, bob, deployment, workspace):
    from django.utils import timezone

    type(deployment).objects.filter(pk=deployment.pk).update(deleted_at=timezone.now(), status="deleted")
    invitations.invite(workspace=workspace, by=alice, emails=["x@example.org"], role=Role.MEMBER)
    client, url = as_(alice), reverse("workspace_delete", args=[workspace.pk])
    wrong = client.post(url, {"confirm": "acme"})
    assert wrong.status_code == 422
    assert "Type Acme Data exactly" in wrong.content.decode()
    assert client.post(url, {"confirm": " Acme Data "}).status_code == 303
    assert not Workspace.objects.filter(pk=workspace.pk).exists()
    assert not Invitation.objects.exists()
    event = AuditEvent.objects.get(verb="deleted", object_type="workspace")
    assert (event.object_label, event.actor_label) == ("Acme Data", "alice@example.org")


def test_an_account_goes_with_the_workspaces_that_are_only_its_own(as_, vera, workspace):
    own = create_workspace(by=vera, name="Vera's")
    delete_account(user=vera)
    assert not User.objects.filter(email="vera@example.org").exists()
    assert not Workspace.objects.filter(pk=own.pk).exists()
    assert Workspace.objects.filter(pk=workspace.pk).exists()
    assert AuditEvent.objects.filter(verb="deleted", actor_label="vera@example.org").count() == 2


def test_the_account_of_an_only_admin_stays_and_says_why(alice, bob, workspace):
    with pytest.raises(ActionRefused, match=r"only Admin of Acme Data\. Make someone else Admin first"):
        delete_account(user=alice)
    assert User.objects.filter(pk=alice.pk).exists()


def test_an_account_with_deployments_of_its_own_stays(alice, deployment):
    with pytest.raises(ActionRefused, match="Acme Data cannot go with you: 1 Deployment is in it"):
        delete_account(user=alice)


def test_deleting_an_account_asks_for_the_address_and_who_it_is(client, vera, workspace):
    client.post("/accounts/login/", {"login": "vera@example.org", "password": PASSWORD})
    url = reverse("account_delete")
    asked = client.post(url, {"confirm": "somebody@example.org"})
    assert "reauthenticate" in asked["Location"]
    assert client.post(asked["Location"], {"password": PASSWORD}).status_code == 422  # the address is wrong
    assert client.post(url, {"confirm": "vera@example.org"}).status_code == 303
    assert not User.objects.filter(email="vera@example.org").exists()
    assert client.get("/account/").status_code == 302
