"""The time line of people's acts and changes of status: sentences, filters, paging, the file."""

import csv
import io
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from deployments import actions
from deployments.actions import transfer
from deployments.actions.settings import settings_of
from deployments.models import Deployment, StatusChange
from deployments.presenters.impact import queues_of
from deployments.presenters.warnings import transfer_consequences
from deployments.queries import activity
from deployments.queries.activity import ActivityEntry, ActivityFilters
from workspaces.actions import invitations, members
from workspaces.actions import workspaces as workspace_actions
from workspaces.models import AuditEvent
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db


def sentences(workspace, deployment=None, **filters) -> list[str]:
    return [each.sentence for each in activity.entries(workspace, deployment, ActivityFilters(**filters))]


def edit(deployment, by, **changes) -> None:
    Deployment.objects.filter(pk=deployment.pk).update(first_healthy_at=timezone.now())
    deployment.refresh_from_db()
    shown = settings_of(deployment, queues_of(deployment))
    actions.edit_deployment(deployment=deployment, by=by, shown=shown, desired={**shown, **changes})


def changed(deployment, old: str, new: str, reason: str = "") -> StatusChange:
    return StatusChange.objects.create(deployment=deployment, old=old, new=new, reason=reason)


def test_one_sentence_per_event_newest_first(alice, bob, deployment, workspace):
    changed(deployment, "creating", "healthy")
    edit(deployment, bob, name="Analytics EU", description="")
    members.change_role(workspace=workspace, by=alice, user_id=bob.pk, role=Role.ADMIN)
    made = invitations.invite(workspace=workspace, by=bob, emails=["ida@example.org"], role=Role.EDITOR)
    invitations.revoke(workspace=workspace, by=bob, invitation_id=made.made[0].invitation.pk)
    workspace_actions.rename_workspace(workspace=workspace, by=alice, name="Acme")
    members.leave(workspace=workspace, by=bob)
    assert sentences(workspace) == [
        "bob@example.org left Workspace Acme (was Admin)",
        "alice@example.org renamed Workspace Acme",
        "bob@example.org revoked the invitation of ida@example.org (was Editor)",
        "bob@example.org invited ida@example.org as Editor",
        "alice@example.org changed the role of bob@example.org from Editor to Admin",
        "bob@example.org edited Deployment Analytics",
        "Analytics EU changed from Creating to Healthy",
        "alice@example.org created Deployment Analytics",
        "alice@example.org created Workspace Acme Data",
    ]


def test_a_transfer_takes_changes_of_status_along_and_leaves_acts_behind(alice, deployment, workspace):
    changed(deployment, "creating", "healthy")
    Deployment.objects.filter(pk=deployment.pk).update(first_healthy_at=timezone.now())
    second = workspace_actions.create_workspace(by=alice, name="Second")
    acts, statuses = transfer_consequences(deployment, workspace)[-2:]
    assert "stay in the Activity of Acme Data; the transfer is listed in both" in acts
    assert "Its status changes move with it" in statuses
    transfer.transfer_deployment(deployment=deployment, by=alice, to=second)
    assert sentences(workspace) == [
        "alice@example.org transferred Deployment Analytics",
        "alice@example.org created Deployment Analytics",
        "alice@example.org created Workspace Acme Data",
    ]
    assert sentences(second) == [
        "alice@example.org transferred Deployment Analytics",
        "alice@example.org created Workspace Second",
        "Analytics changed from Creating to Healthy",
    ]


def test_old_and_new_values_are_told(alice, deployment, workspace):
    edit(deployment, alice, name="Analytics", description="For us")
    newest = activity.entries(workspace, None, ActivityFilters())[0]
    assert newest.details == ["description: nothing → For us"]


def test_a_status_tells_its_reason(deployment, workspace):
    changed(deployment, "healthy", "unhealthy", "The scheduler is silent.")
    newest = activity.entries(workspace, None, ActivityFilters())[0]
    assert (newest.status, newest.details) == (True, ["The scheduler is silent."])


def test_a_deployment_s_time_line_is_its_own(alice, deployment, workspace, choices):
    actions.create_deployment(
        workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices("Other")
    )
    changed(deployment, "creating", "healthy")
    assert sentences(workspace, deployment) == [
        "Analytics changed from Creating to Healthy",
        "alice@example.org created Deployment Analytics",
    ]


def test_what_happens_elsewhere_is_not_there(charlie, deployment, workspace):
    assert all("Charlie" not in each for each in sentences(workspace))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"kind": "member"}, ["alice@example.org changed the role of bob@example.org from Editor to Member"]),
        ({"kind": "workspace"}, ["alice@example.org created Workspace Acme Data"]),
        (
            {"text": "ANALYT"},
            ["Analytics changed from Creating to Healthy", "alice@example.org created Deployment Analytics"],
        ),
        ({"text": "nothing like it"}, []),
        ({"person": activity.SYSTEM}, ["Analytics changed from Creating to Healthy"]),
        ({"since": datetime(2100, 1, 1, tzinfo=UTC)}, []),
        ({"until": datetime(2000, 1, 1, tzinfo=UTC)}, []),
    ],
)
def test_filters(alice, bob, deployment, workspace, filters, expected):
    changed(deployment, "creating", "healthy")
    members.change_role(workspace=workspace, by=alice, user_id=bob.pk, role=Role.MEMBER)
    assert sentences(workspace, **filters) == expected


def test_the_person_filter_offers_who_acted_and_leaves_out_the_others(as_, alice, bob, deployment, workspace):
    edit(deployment, bob, name="Renamed", description="")
    assert activity.people(workspace, None) == [(str(alice.pk), alice.email), (str(bob.pk), bob.email)]
    html = (
        as_(alice)
        .get(reverse("deployments:activity", args=[workspace.pk]), {"person": bob.pk})
        .content.decode()
    )
    assert "<strong>bob@example.org</strong> edited Deployment" in html
    assert "<strong>alice@example.org</strong>" not in html


def test_days_are_those_of_the_reader(as_, alice, deployment, workspace):
    type(alice).objects.filter(pk=alice.pk).update(time_zone="Pacific/Kiritimati")  # UTC+14
    AuditEvent.objects.filter(object_type="deployment").update(at=datetime(2026, 3, 1, 11, tzinfo=UTC))
    url = reverse("deployments:activity", args=[workspace.pk])
    day = {"since": "2026-03-02", "until": "2026-03-02"}
    assert "created Deployment" in as_(alice).get(url, day).content.decode()
    day = {"since": "2026-03-01", "until": "2026-03-01"}
    assert "No event matches" in as_(alice).get(url, day).content.decode()


@pytest.mark.parametrize(
    "query",
    ["page=x", "page=-3", "page=99999999999999", "since=nonsense", "person=1x", "until=9999-12-31", "kind=x"],
)
def test_nonsense_in_the_address_filters_nothing_and_breaks_nothing(as_, alice, workspace, query):
    assert (
        as_(alice).get(f"{reverse('deployments:activity', args=[workspace.pk])}?{query}").status_code == 200
    )


def test_pages_follow_each_other_without_gap(as_, alice, deployment, workspace):
    for _ in range(60):
        changed(deployment, "healthy", "unhealthy")
    everything = activity.entries(workspace, None, ActivityFilters(), most=1000)
    first = activity.entries(workspace, None, ActivityFilters(), most=50)
    second = activity.entries(workspace, None, ActivityFilters(), skip=50, most=50)
    assert [*first, *second] == everything
    html = (
        as_(alice)
        .get(reverse("deployments:activity", args=[workspace.pk]) + "?kind=deployment")
        .content.decode()
    )
    assert "Older" in html
    assert "kind=deployment&amp;page=2" in html


def test_a_page_costs_the_same_at_any_length(
    as_, alice, deployment, workspace, django_assert_num_queries, django_assert_max_num_queries
):
    client, url = as_(alice), reverse("deployments:activity", args=[workspace.pk])
    client.get(url)
    with django_assert_max_num_queries(
        7
    ) as few:  # session, user, Workspaces, invitations; and three of its own
        client.get(url)
    StatusChange.objects.bulk_create(
        StatusChange(deployment=deployment, old="healthy", new="unhealthy") for _ in range(500)
    )
    with django_assert_num_queries(len(few)):
        client.get(url)


def test_the_file_holds_what_the_filters_leave_and_runs_no_formula(as_, alice, deployment, workspace):
    edit(deployment, alice, name="=HYPERLINK(1)", description="")
    edit(deployment, alice, name="=HYPERLINK(1)", description="-1")
    url = reverse("deployments:activity_csv", args=[workspace.pk])
    answer = as_(alice).get(url, {"kind": "deployment"})
    assert answer["Content-Type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0][:3] == ["Time (UTC)", "Who", "What happened"]
    assert [row[2] for row in rows[1:]] == [
        "alice@example.org edited Deployment =HYPERLINK(1)",
        "alice@example.org edited Deployment Analytics",
        "alice@example.org created Deployment Analytics",
    ]
    assert rows[1][5] == "'=HYPERLINK(1)"
    assert rows[0][-1] == "Account id"
    assert {row[-1] for row in rows[1:]} == {str(alice.pk)}
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_a_deleted_deployment_keeps_its_time_line(as_, alice, deployment):
    type(deployment).objects.filter(pk=deployment.pk).update(
        status="deleted", deleted_at=deployment.created_at + timedelta(minutes=1)
    )
    page = as_(alice).get(deployment.url).content.decode()
    url = reverse("deployments:deployment_activity", args=[deployment.release_name])
    assert url in page
    assert "created Deployment" in as_(alice).get(url).content.decode()


def test_an_unknown_kind_and_role_still_make_a_sentence():
    entry = ActivityEntry(
        False, datetime.now(UTC), "Olga", "restricted", "cluster", "1", "This machine", {}, {"role": "x"}, 1
    )
    assert entry.sentence == "Olga restricted cluster This machine as x"


def test_thirty_invitations_in_one_go_are_one_event_on_the_page_and_thirty_in_the_file(as_, alice, workspace):
    emails = [f"p{number:02}@example.org" for number in range(30)]
    invitations.invite(workspace=workspace, by=alice, emails=emails, role=Role.EDITOR)
    page = as_(alice).get(reverse("deployments:activity", args=[workspace.pk])).content.decode()
    assert "<strong>30 people</strong> as Editor." in page
    assert page.count("invited") == 1
    file = as_(alice).get(reverse("deployments:activity_csv", args=[workspace.pk]))
    assert b"".join(file).decode().count("@example.org as Editor") == 30


def test_each_day_has_a_heading(as_, alice, deployment, workspace):
    edit(deployment, alice, description="A change of today")
    AuditEvent.objects.filter(verb="created").update(at=datetime(2026, 3, 1, 12, tzinfo=UTC))
    shown = as_(alice).get(reverse("deployments:activity", args=[workspace.pk])).content.decode()
    assert shown.count('class="timeline__day"') == 2
    assert "Sunday, 1 March 2026" in shown
