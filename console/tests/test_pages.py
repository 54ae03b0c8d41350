"""Every page of the main job keeps the rules of pages, for those who may and those who may not."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from conftest import PASSWORD, make_user
from console.tests.browser.chromium import axe_complaints, chromium, cookies_of, overflow, turn
from console.tests.html_rules import complaints
from deployments.domain.states import ComponentState, Operation, Status, StepState
from deployments.models import ComponentStatus, Deployment, Step
from deployments.tests.readings import all_sorts, remember
from workspaces.actions import invitations
from workspaces.actions import workspaces as workspace_actions
from workspaces.models import Invitation
from workspaces.permissions import Role

ALERTS = ("workspace_alerts", "alert_rules", "alert_channels", "alert_deliveries")
SIGNED_OUT = [
    "/accounts/signup/",
    "/accounts/login/",
    "/accounts/password/reset/",
    "/accounts/password/reset/done/",
    "/docs/api-reference/",
]
OWN = [
    "/account/",
    "/account/delete/",
    "/account/tokens/",
    "/workspaces/new/",
    "/invitations/",
    "/search/",
    "/search/?q=a",
    "/search/?q=nothing-like-this",
    "/search/keys/",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/logout/",
    "/accounts/reauthenticate/",
    "/accounts/2fa/",
    "/accounts/sessions/",
]
CONFIRMED = [
    "/device/",
    "/account/tokens/new/",
    "/accounts/2fa/totp/activate/",
    "/accounts/2fa/webauthn/add/",
]  # they first ask who it is


def in_full(deployment: Deployment) -> Deployment:
    """The Deployment with a step, a component and a DAG in every state."""
    now = timezone.now()
    for number, state in enumerate(StepState):
        begun = None if state is StepState.PENDING else now - timedelta(minutes=number)
        Step.objects.create(
            deployment=deployment,
            operation=Operation.CREATE,
            position=number,
            key=state,
            title=f"Step {number}",
            state=state,
            sentence="Waits for the database.",
            started_at=begun,
            finished_at=begun and now if state in {StepState.DONE, StepState.FAILED} else None,
        )
    remember(deployment, all_sorts())
    for number, state in enumerate(ComponentState):
        ComponentStatus.objects.create(
            deployment=deployment, position=number, name=f"part-{number}", state=state, ready=0, desired=1
        )
    return deployment


def pages_of(deployment: Deployment) -> list[str]:
    """The pages of a Workspace and of a Deployment in it, by address."""
    here = [deployment.workspace_id]
    return [
        reverse("deployments:home", args=here),
        reverse("deployments:list", args=here),
        reverse("deployments:list", args=here) + "?q=nothing-like-this",
        reverse("deployments:new", args=here),
        *(reverse(f"deployments:{name}", args=here) for name in ALERTS),
        reverse("deployments:alert_rule_new", args=[*here, "no_success"]),
        *(reverse("deployments:alert_channel_new", args=[*here, kind]) for kind in ("email", "webhook")),
        reverse("deployments:alerts", args=[deployment.release_name]),
        reverse("deployments:own_rule_new", args=[deployment.release_name, "unhealthy"]),
        reverse("workspace_settings", args=here),
        reverse("workspace_delete", args=here),
        reverse("workspace_leave", args=here),
        reverse("members", args=here),
        reverse("members", args=here) + "?q=nothing-like-this",
        reverse("members_invite", args=here),
        reverse("deployments:workspace_dags", args=here),
        reverse("deployments:activity", args=here),
        reverse("deployments:activity", args=here) + "?q=nothing-like-this",
        deployment.url,
        reverse("deployments:deployment_activity", args=[deployment.release_name]),
        reverse("deployments:dags", args=[deployment.release_name]),
        reverse("deployments:dags", args=[deployment.release_name]) + "?q=nothing-like-this",
        reverse("deployments:logs", args=[deployment.release_name]),
        reverse("deployments:task_logs", args=[deployment.release_name]),
        reverse("deployments:logs", args=[deployment.release_name])
        + "?component=triggerer&level=error&q=nothing",
        reverse("deployments:component", args=[deployment.release_name, "scheduler"]),
        reverse("deployments:component_now", args=[deployment.release_name, "scheduler"]),
        reverse("deployments:variables", args=[deployment.release_name]),
        reverse("deployments:variable_new", args=[deployment.release_name]),
        reverse("deployments:variables_import", args=[deployment.release_name]),
        reverse("deployments:api_tokens", args=[deployment.release_name]),
        reverse("workspace_tokens", args=[deployment.workspace_id]),
        reverse("deployments:deploys", args=[deployment.release_name]),
        reverse("deployments:deploy_new", args=[deployment.release_name]),
        reverse("deployments:deploy_image", args=[deployment.release_name]),
        reverse("deployments:token", args=[deployment.release_name]),
        reverse("deployments:settings", args=[deployment.release_name]),
        reverse("deployments:delete", args=[deployment.release_name]),
    ]


@pytest.fixture
def invited(workspace, alice) -> list[str]:
    """The links of invitations in every state, and of none."""
    emails = [f"{name}@example.org" for name in ("ready", "expired", "revoked", "used", "alice2")]
    made = invitations.invite(workspace=workspace, by=alice, emails=emails, role=Role.EDITOR).made
    now = timezone.now()
    changes = {"expired": "expires_at", "revoked": "revoked_at", "used": "accepted_at"}
    for name, field in changes.items():
        Invitation.objects.filter(email=f"{name}@example.org").update(**{field: now})
    return [*(reverse("invitation", args=[each.token]) for each in made), "/join/nothing/"]


def checked(response) -> list[str]:
    assert response.status_code in {200, 404, 410, 422}, response
    return complaints(response.content.decode())


@pytest.mark.django_db
@pytest.mark.parametrize("url", SIGNED_OUT)
def test_pages_for_strangers_keep_the_rules(client, url) -> None:
    assert checked(client.get(url)) == []


def test_every_state_of_an_invitation_keeps_the_rules(client, as_, charlie, invited) -> None:
    for reader in (client, as_(charlie)):
        assert [wrong for url in invited if (wrong := checked(reader.get(url)))] == []


def test_the_answer_with_links_and_the_waiting_invitation_keep_the_rules(as_, alice, workspace) -> None:
    made = as_(alice).post(
        reverse("members_invite", args=[workspace.pk]), {"addresses": "a@example.org", "role": "member"}
    )
    other = workspace_actions.create_workspace(by=make_user("olga@example.org", "Olga"), name="Other")
    EmailAddress.objects.create(user=alice, email=alice.email, verified=True, primary=True)
    owner = other.members.get()
    invitations.invite(workspace=other, by=owner, emails=[alice.email], role=Role.EDITOR)
    waiting = as_(alice).get("/invitations/")
    assert b"Join Other" in waiting.content
    assert checked(made) == checked(waiting) == []


def test_pages_that_ask_who_it_is_keep_the_rules(client, alice, workspace) -> None:
    client.force_login(alice)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    for url in CONFIRMED:
        assert checked(client.get(url)) == []


@pytest.mark.parametrize("url", OWN)
def test_pages_of_an_account_keep_the_rules(as_, alice, workspace, url) -> None:
    assert checked(as_(alice).get(url)) == []


def test_pages_of_a_workspace_keep_the_rules(as_, alice, deployment) -> None:
    client = as_(alice)
    in_full(deployment)
    found = {url: checked(client.get(url)) for url in pages_of(deployment)}
    assert [wrong for wrong in found.items() if wrong[1]] == []


def test_a_member_sees_no_button_that_would_answer_403(as_, vera, deployment) -> None:
    client = as_(vera)
    listing = client.get(reverse("deployments:list", args=[deployment.workspace_id]))
    page = client.get(deployment.url)
    assert checked(listing) == checked(page) == []
    assert b"Create Deployment" not in listing.content
    assert b"Show password" not in page.content
    assert b"Settings" not in page.content
    members = client.get(reverse("members", args=[deployment.workspace_id]))
    assert checked(members) == []
    assert b"Invite people" not in members.content
    assert b"Remove" not in members.content


def test_an_empty_list_says_what_a_deployment_is_and_who_can_make_one(as_, alice, vera, workspace) -> None:
    url = reverse("deployments:list", args=[workspace.pk])
    for_admin, for_member = as_(alice).get(url), as_(vera).get(url)
    assert checked(for_admin) == checked(for_member) == []
    assert b"No Deployments yet" in for_admin.content
    assert reverse("deployments:new", args=[workspace.pk]).encode() in for_admin.content
    assert b"Alice" in for_member.content
    assert reverse("deployments:new", args=[workspace.pk]).encode() not in for_member.content


def test_a_filter_that_hides_all_keeps_the_filter_bar(as_, alice, deployment) -> None:
    page = (
        as_(alice)
        .get(reverse("deployments:list", args=[deployment.workspace_id]) + "?q=nope")
        .content.decode()
    )
    assert "Clear filters" in page
    assert 'value="nope"' in page


def test_a_wrong_form_says_so_in_the_title_the_summary_and_beside_the_field(
    as_, alice, workspace, cluster
) -> None:
    response = as_(alice).post(
        reverse("deployments:new", args=[workspace.pk]), {"name": "", "min_workers": "x"}
    )
    html = response.content.decode()
    assert response.status_code == 422
    assert complaints(html) == []
    assert "<title>Error: Create Deployment" in html
    assert '<a href="#id_name">Enter a name.</a>' in html
    assert html.count("Enter a name.") == 2


def test_a_wrong_confirmation_says_so_beside_the_field(as_, alice, deployment) -> None:
    url = reverse("deployments:delete", args=[deployment.release_name])
    response = as_(alice).post(url, {"confirm": "Something else"})
    assert response.status_code == 422
    assert complaints(response.content.decode()) == []


def test_the_receipt_of_a_deleted_deployment_keeps_the_rules(as_, alice, deployment) -> None:
    Step.objects.create(
        deployment=deployment,
        operation=Operation.DELETE,
        position=0,
        key="database",
        title="Database",
        state=StepState.DONE,
        receipt=["database d_1 dropped"],
        started_at=timezone.now(),
        finished_at=timezone.now(),
    )
    now = timezone.now()
    Deployment.objects.filter(pk=deployment.pk).update(
        status=Status.DELETED, deleted_at=now, delete_requested_at=now
    )
    response = as_(alice).get(deployment.url)
    assert checked(response) == []
    assert b"database d_1 dropped" in response.content


@pytest.mark.thorough
def test_user_text_is_never_markup(as_, alice, deployment) -> None:
    evil = "<script>alert(1)</script>\"'{{7*7}}"
    Deployment.objects.filter(pk=deployment.pk).update(name=evil, status_reason=evil, description=evil)
    client = as_(alice)
    for url in pages_of(deployment):
        html = client.get(url).content.decode()
        assert "<script>alert" not in html
        assert complaints(html) == []


@pytest.mark.parametrize("name", ["400", "403", "404", "500", "503", "csrf"])
def test_error_pages_need_no_context(name) -> None:
    html = render_to_string(f"errors/{name}.html", {"request_id": "r-1"})
    assert complaints(html) == []
    assert "r-1" in html


def test_a_missing_page_and_a_forbidden_one_keep_the_rules(as_, alice, vera, deployment) -> None:
    missing = as_(alice).get("/nowhere/")
    forbidden = as_(vera).get(reverse("deployments:settings", args=[deployment.release_name]))
    assert (missing.status_code, forbidden.status_code) == (404, 403)
    assert complaints(missing.content.decode()) == complaints(forbidden.content.decode()) == []
    assert b"Editor" in forbidden.content


@pytest.mark.browser
def test_pages_are_accessible_in_both_themes_and_widths(
    live_server, as_, alice, bob, deployment, invited
) -> None:
    client = as_(alice)
    in_full(deployment)
    cookies = cookies_of(client, live_server.url)
    looks = [(1280, "light"), (390, "dark")]
    found, refused = {}, []
    with chromium() as browser:
        context = browser.new_context()
        context.route("**/stream/**", lambda route: route.abort())
        page = context.new_page()
        page.on("console", lambda message: refused.append(message.text) if "Policy" in message.text else None)
        for signed_in, urls in ((False, [*SIGNED_OUT, *invited]), (True, [*OWN, *pages_of(deployment)])):
            if signed_in:
                context.add_cookies(cookies)
            for url in urls:
                page.goto(live_server.url + url)
                assert page.url == live_server.url + url
                page.locator("details.card").evaluate_all("all => all.forEach(each => each.open = true)")
                for width, theme in looks:
                    turn(page, width, theme)
                    found[url, theme] = [*axe_complaints(page), *["scrolls sideways"] * bool(overflow(page))]
    assert found == {key: [] for key in found}
    assert refused == []
    assert len(found) == len(looks) * (len(SIGNED_OUT) + len(invited) + len(OWN) + len(pages_of(deployment)))
