"""Alerts and their rules from a terminal."""

import pytest
from django.utils import timezone

from deployments.actions.alert_channels import ChannelWish, make_channel
from deployments.domain.alert_rules import ChannelKind, RuleKind
from deployments.models import Alert, AlertRule, AlertSilence
from workspaces.permissions import Role

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]


def test_rules_are_set_listed_and_deleted_and_alerts_are_listed_and_silenced(
    airdeck, token, alice, workspace, deployment
):
    make_channel(workspace=workspace, by=alice, wish=ChannelWish(kind=ChannelKind.ADMINS, name="Admins"))
    one, admin = ("-d", deployment.release_name), {"AIRDECK_TOKEN": token(alice, Role.ADMIN)}
    assert "Nothing is watched for in Acme Data." in airdeck("alert", "rule", "list").out
    listed = airdeck("alert", "channel", "list").out
    assert "Every Admin of the Workspace" in listed

    wish = ("alert", "rule", "set", "unhealthy", "--amount", "7", "--channel", "Admins")
    assert "the role Admin" in airdeck(*wish, code=3).err
    made = airdeck(*wish, environment=admin).out
    assert made == "Unhealthy for 7 minutes is on in Acme Data, sent to Admins.\n"
    assert "Enter one of unhealthy," in airdeck("alert", "rule", "set", "boredom", *one, code=2).err
    assert airdeck("alert", "rule", "set", "unhealthy", "--off", *one).out == (
        "Unhealthy for 7 minutes is off in Analytics.\n"
    )
    assert "the Deployment" in airdeck("alert", "rule", "list", *one).out
    deleted = airdeck("alert", "rule", "delete", "unhealthy", "--yes", *one).out
    assert deleted == "The rule Unhealthy for 7 minutes of Analytics is deleted.\n"
    assert (
        "There is no rule unhealthy of Analytics itself."
        in airdeck("alert", "rule", "delete", "unhealthy", "--yes", *one, code=2).err
    )
    assert AlertRule.objects.get().workspace_id == workspace.pk

    assert "No alert of Acme Data is open." in airdeck("alert", "list").out
    row = Alert.objects.create(
        workspace=workspace, deployment=deployment, kind=RuleKind.RUN_FAILED, headline="sales failed"
    )
    assert str(row.pk) in airdeck("alert", "list", *one).out
    assert "“sales failed” is silenced until" in airdeck("alert", "silence", str(row.pk), "--hours", "4").out
    assert "All alerts of Analytics are silenced" in airdeck("alert", "silence", *one, "--hours", "24").out
    assert AlertSilence.objects.get().until > timezone.now()
    assert "are not silenced." in airdeck("alert", "silence", *one, "--hours", "0").out
    assert "either the id of an alert" in airdeck("alert", "silence", "--hours", "1", code=2).err
    Alert.objects.update(resolved_at=timezone.now())
    assert "sales failed" in airdeck("alert", "list", "--resolved").out


def test_a_change_of_a_rule_keeps_what_is_not_named(airdeck, token, alice, workspace, deployment):
    for kind, name in ((ChannelKind.ADMINS, "Admins"), (ChannelKind.SLACK, "Team")):
        url = "https://hooks.example.com/a" if kind is ChannelKind.SLACK else None
        make_channel(workspace=workspace, by=alice, wish=ChannelWish(kind=kind, name=name, url=url))
    one, admin = ("-d", deployment.release_name), {"AIRDECK_TOKEN": token(alice, Role.ADMIN)}

    def set_rule(*asked):
        return airdeck("alert", "rule", "set", *asked, environment=admin).out

    set_rule("unhealthy", "--amount", "7", "--channel", "Admins", "--channel", "Team")
    sent = "is on in Acme Data, sent to Admins, Team.\n"
    assert set_rule("unhealthy", "--amount", "10") == f"Unhealthy for 10 minutes {sent}"
    assert set_rule("unhealthy", "--off") == "Unhealthy for 10 minutes is off in Acme Data.\n"
    assert set_rule("unhealthy", "--amount", "9") == "Unhealthy for 9 minutes is off in Acme Data.\n"
    begun = set_rule("unhealthy", *one)
    assert begun == "Unhealthy for 9 minutes is on in Analytics, sent to Admins, Team.\n"
    assert set_rule("unhealthy", "--on") == f"Unhealthy for 9 minutes {sent}"
    assert set_rule("unhealthy", "--channel", "Team").endswith("is on in Acme Data, sent to Team.\n")
    assert set_rule("unhealthy", "--channel", "").endswith("is on in Acme Data, shown on the pages alone.\n")
    assert set_rule("stalled").startswith("Stalled is on in Acme Data")

    dags = [
        set_rule("no_success", "--dag", dag, "--amount", amount) for dag, amount in (("a", "2"), ("b", "3"))
    ]
    assert dags[1].startswith("No success of b in 3 hours is on")
    assert (
        set_rule("no_success", "--dag", "a", "--off") == "No success of a in 2 hours is off in Acme Data.\n"
    )
    own = AlertRule.objects.get(deployment=deployment)
    assert sorted(each.name for each in own.channels.all()) == ["Admins", "Team"]
