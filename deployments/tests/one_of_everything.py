"""What a Deployment can have, one of each: for tests that ask for every address."""

from uuid import uuid4

from django.utils import timezone

from deployments.domain import webhook_signature
from deployments.models import AlertChannel, AlertRule, Deployment, GitSource
from deployments.secrets import alert_channels, vault
from workspaces.models import Workspace


def furnish(deployment: Deployment) -> None:
    """Give it the variable REGION, revision 1 of its variables, deploy 1, which failed, and a rule of alerts."""
    deployment.variables.create(key="REGION", value="eu")
    deployment.variable_revisions.create(number=1, sealed=vault.seal_revision(deployment, 1, {}))
    deployment.deploys.create(
        number=1,
        idempotency_key=uuid4(),
        source="upload",
        digest="0" * 64,
        version="1-000000000000",
        files=1,
        python_files=1,
        size=1,
        status="failed",
        finished_at=timezone.now(),
    )
    deployment.alert_rules.create(kind="unhealthy", amount=5)


def furnish_git(deployment: Deployment) -> GitSource:
    """Have it follow a branch; no look is due."""
    return GitSource.objects.create(
        deployment=deployment, address="https://github.com/acme/dags.git", branch="main", token_user="git"
    )


def furnish_alerts(workspace: Workspace, path: str = "secret-path") -> dict[str, object]:
    """Give it a webhook at this path, a rule, an open alert and a delivery; by the name of an address, its last
    argument."""
    channel = AlertChannel(
        workspace=workspace, kind="webhook", name="Pager", shown_url="https://hooks.example/…"
    )
    alert_channels.seal_url(channel, f"https://hooks.example/{path}")
    alert_channels.seal_secret(channel, webhook_signature.new_secret())
    channel.save()
    rule = AlertRule.objects.create(workspace=workspace, kind="unhealthy", amount=5)
    rule.channels.add(channel)
    alert = workspace.alerts.create(rule=rule, kind="unhealthy", headline="Analytics is Unhealthy")
    delivery = workspace.alert_deliveries.create(
        channel=channel,
        rule=rule,
        alert=alert,
        event="opened",
        address=channel.shown_url,
        content={"event": "opened", "headline": alert.headline},
        state="failed",
    )
    return {
        "alert_rule_new": "unhealthy",
        "alert_channel_new": "webhook",
        **dict.fromkeys(("alert_rule", "alert_rule_remove"), rule.pk),
        **{f"alert_channel{each}": channel.pk for each in ("", "_remove", "_test", "_secret")},
        **dict.fromkeys(("alert", "alert_silence"), alert.pk),
        "alert_again": delivery.pk,
    }
