"""Alerts and their rules for programs: as people have them on the pages."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from deployments.actions.alert_channels import ChannelWish, make_channel
from deployments.domain.alert_rules import ChannelKind, RuleKind
from deployments.models import Alert, AlertRule, Deployment
from workspaces.models import AuditEvent
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admins(workspace, alice):
    """A channel to the Admins."""
    wish = ChannelWish(kind=ChannelKind.ADMINS, name="Admins")
    return make_channel(workspace=workspace, by=alice, wish=wish).channel


@pytest.fixture
def places(workspace, deployment) -> dict[str, str]:
    return {"all": f"/workspaces/{workspace.pk}", "one": f"/deployments/{deployment.release_name}"}


def an_alert(workspace, deployment, number: int = 0, **more) -> Alert:
    opened = timezone.now() - timedelta(hours=1, minutes=number)
    return Alert.objects.create(
        workspace=workspace,
        deployment=deployment,
        kind=RuleKind.RUN_FAILED,
        subject=f"dag_{number}",
        headline=f"dag_{number} failed",
        opened_at=opened,
        **more,
    )


def test_a_rule_is_set_read_set_differently_and_dropped(program, alice, admins, places):
    made = program(alice, Role.ADMIN)
    sent = {"kind": "unhealthy", "amount": 7, "channels": ["Admins"]}
    rule = made.ask("post", f"{places['all']}/alert-rules", sent, status=200).json()
    assert (rule["title"], rule["unit"], rule["channels"]) == (
        "Unhealthy for 7 minutes",
        "minute",
        ["Admins"],
    )
    again = made.ask("post", f"{places['all']}/alert-rules", {**sent, "channels": [str(admins.pk)]}).json()
    assert again == rule
    assert AuditEvent.objects.filter(object_type="alert rule").count() == 1  # the second one changed nothing
    (inherited,) = made.get(f"{places['one']}/alert-rules")["items"]
    assert inherited == {**rule, "inherited": True}

    own = made.ask("post", f"{places['one']}/alert-rules", {"kind": "unhealthy", "enabled": False}).json()
    assert (own["amount"], own["enabled"], own["channels"], own["inherited"]) == (5, False, [], False)
    assert made.get(f"{places['one']}/alert-rules")["items"] == [own]
    assert made.get(f"{places['all']}/alert-rules")["items"] == [rule]
    assert made.ask("delete", f"{places['all']}/alert-rules/{own['id']}").status_code == 404
    made.ask("delete", f"{places['one']}/alert-rules/{own['id']}", status=204)
    made.ask("delete", f"{places['all']}/alert-rules/{rule['id']}", status=204)
    assert not AlertRule.objects.exists()


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ({}, "kind"),
        ({"kind": "boredom"}, "kind"),
        ({"kind": "unhealthy", "amount": 0}, "amount"),
        ({"kind": "unhealthy", "amount": "many"}, "amount"),
        ({"kind": "no_success"}, "dag"),
        ({"kind": "unhealthy", "enabled": "yes"}, "enabled"),
        ({"kind": "unhealthy", "channels": ["Nobody"]}, "channels"),
        ({"kind": "unhealthy", "channels": [7]}, "channels"),
        ({"kind": "unhealthy", "colour": "red"}, "colour"),
        ({"kind": "unhealthy", "dag": "sales"}, "dag"),
        ({"kind": "stalled", "amount": 5}, "amount"),
    ],
)
def test_a_wrong_rule_is_refused_with_the_field_and_the_sentence_of_the_page(
    program, alice, places, sent, path
):
    made = program(alice, Role.ADMIN)
    refused = made.ask("post", f"{places['all']}/alert-rules", sent, status=422).json()
    assert path in {each["path"] for each in refused["errors"]}
    assert not AlertRule.objects.exists()


def test_a_rule_about_the_workspace_is_refused_in_a_deployment(program, alice, places):
    made = program(alice, Role.ADMIN)
    refused = made.ask("post", f"{places['one']}/alert-rules", {"kind": "token_ending"}, status=422).json()
    assert "is about the Workspace" in refused["detail"]


def test_alerts_come_newest_first_by_pages_and_by_what_became_of_them(
    program, alice, workspace, deployment, places
):
    for number in range(5):
        an_alert(workspace, deployment, number)
    an_alert(workspace, None, 9, resolved_at=timezone.now(), note="The rule was removed.")
    made = program(alice, Role.MEMBER)
    for where in places.values():
        first = made.get(f"{where}/alerts?limit=3")
        rest = made.get(f"{where}/alerts?limit=3&cursor={first['next']}")
        found = [*first["items"], *rest["items"]]
        assert [each["headline"] for each in found] == [f"dag_{number} failed" for number in range(5)]
        assert rest["next"] is None
        assert {each["release_name"] for each in found} == {deployment.release_name}
    (over,) = made.get(f"{places['all']}/alerts?state=resolved")["items"]
    assert (over["note"], over["release_name"]) == ("The rule was removed.", None)
    assert made.get(f"{places['one']}/alerts?state=resolved")["items"] == []
    made.get(f"{places['one']}/alerts?state=odd", status=422)
    made.get(f"{places['one']}/alerts?cursor=x", status=422)


def test_a_list_of_alerts_costs_the_same_queries_for_one_and_for_many(
    program, alice, workspace, deployment, places, django_assert_max_num_queries
):
    made = program(alice, Role.MEMBER)
    for number in range(30):
        an_alert(workspace, deployment, number)
    with django_assert_max_num_queries(5):
        assert len(made.get(f"{places['all']}/alerts")["items"]) == 30


def test_one_alert_and_a_whole_deployment_are_silenced_and_heard_again(
    program, alice, workspace, deployment, places
):
    row = an_alert(workspace, deployment)
    made = program(alice, Role.EDITOR)
    where = f"{places['all']}/alerts/{row.pk}/silence"
    silenced = made.ask("post", where, {"hours": 4}, status=200).json()
    assert silenced["silenced_until"]
    assert silenced["silenced_by"] == alice.label
    assert made.ask("post", where, {"hours": 0}, status=200).json()["silenced_until"] is None
    for hours in (2, "4h", None, True):
        made.ask("post", where, {"hours": hours}, status=422)
    made.ask("post", f"{places['all']}/alerts/{uuid4()}/silence", {"hours": 1}, status=404)

    one = f"{places['one']}/alerts"
    assert made.ask("post", f"{one}/silence", {"hours": 24}, status=200).json()["silenced_until"]
    assert made.get(one)["silenced_until"]
    made.ask("post", f"{one}/silence", {"hours": 0}, status=200)
    assert made.get(one)["silenced_until"] is None
    assert Deployment.objects.get().generation == deployment.generation


def test_channels_are_listed_without_what_is_secret_of_them(program, alice, workspace, admins, places):
    url = "https://hooks.example.org/services/T0/B0/hush-hush"
    wish = ChannelWish(kind=ChannelKind.SLACK, name="Team", url=url)
    make_channel(workspace=workspace, by=alice, wish=wish)
    found = program(alice, Role.MEMBER).get(f"{places['all']}/alert-channels")["items"]
    assert [(each["name"], each["kind"]) for each in found] == [("Admins", "admins"), ("Team", "slack")]
    assert "hush-hush" not in str(found)
