"""Every page of the main job keeps the rules of pages, for those who may and those who may not."""

from datetime import timedelta

import pytest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from console.tests.browser import axe_complaints, chromium, cookies_of, overflow
from console.tests.html_rules import complaints
from deployments.models import ComponentStatus, Deployment, Step
from deployments.states import ComponentState, Operation, Status, StepState

SIGNED_OUT = [
    "/accounts/signup/",
    "/accounts/login/",
    "/accounts/password/reset/",
    "/accounts/password/reset/done/",
]
OWN = ["/account/", "/workspaces/new/", "/accounts/email/", "/accounts/password/change/", "/accounts/logout/"]


def in_full(deployment: Deployment) -> Deployment:
    """The Deployment with a step and a component in every state."""
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
    for number, state in enumerate(ComponentState):
        ComponentStatus.objects.create(
            deployment=deployment, position=number, name=f"part-{number}", state=state, ready=0, wanted=1
        )
    return deployment


def pages_of(deployment: Deployment) -> list[str]:
    """The pages of a Workspace and of a Deployment in it, by address."""
    here = [deployment.workspace_id]
    return [
        reverse("deployments:list", args=here),
        reverse("deployments:list", args=here) + "?q=nothing-like-this",
        reverse("deployments:new", args=here),
        reverse("workspace_settings", args=here),
        deployment.url,
        reverse("deployments:settings", args=[deployment.release_name]),
        reverse("deployments:delete", args=[deployment.release_name]),
    ]


def checked(response) -> list[str]:
    assert response.status_code in {200, 422}, response
    return complaints(response.content.decode())


@pytest.mark.django_db
@pytest.mark.parametrize("url", SIGNED_OUT)
def test_pages_for_strangers_keep_the_rules(client, url) -> None:
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
def test_pages_are_accessible_in_both_themes_and_widths(live_server, as_, alice, deployment) -> None:
    client = as_(alice)
    in_full(deployment)
    cookies = cookies_of(client, live_server.url)
    looks = [(1280, "light"), (390, "dark")]
    found, refused = {}, []
    with chromium() as browser:
        for width, theme in looks:
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
            )
            context.route("**/stream/**", lambda route: route.abort())
            page = context.new_page()
            page.on(
                "console", lambda message: refused.append(message.text) if "Policy" in message.text else None
            )
            for signed_in, urls in ((False, SIGNED_OUT), (True, [*OWN, *pages_of(deployment)])):
                if signed_in:
                    context.add_cookies(cookies)
                for url in urls:
                    page.goto(live_server.url + url)
                    assert page.url == live_server.url + url
                    page.locator("details.card").evaluate_all("all => all.forEach(each => each.open = true)")
                    found[url, theme] = [*axe_complaints(page), *["scrolls sideways"] * bool(overflow(page))]
    assert found == {key: [] for key in found}
    assert refused == []
    assert len(found) == len(looks) * (len(SIGNED_OUT) + len(OWN) + len(pages_of(deployment)))
