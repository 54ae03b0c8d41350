"""Rules of alerts: of a Workspace, for all of its Deployments, and of one Deployment in their place."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from console.kit.refusals import InvalidInput
from deployments.actions.common import MOVED
from deployments.actions.refusals import AlertRuleGone, NotNow, TooManyAlertRules
from deployments.domain import alert_rules
from deployments.domain.alert_rules import MOST_RULES, USUAL, ChannelKind, RuleKind
from deployments.models import Alert, AlertChannel, AlertDelivery, AlertRule, Deployment
from workspaces import audit
from workspaces.actions.locks import lock_for
from workspaces.audited import Subject
from workspaces.models import User, Workspace
from workspaces.permissions import Permission

FOREIGN = "Choose channels of this Workspace."
ADMINS_NAME = "Admins"


@dataclass(frozen=True)
class RuleWish:
    """A rule as it is asked for. `amount` is in the kind's unit, None where it has none."""

    kind: RuleKind
    amount: int | None = None
    dag: str = ""
    enabled: bool = True
    channels: tuple[UUID, ...] = ()


@dataclass(frozen=True)
class RulePlace:
    """To what a rule belongs: a Workspace, or one Deployment of it."""

    workspace: Workspace
    deployment: Deployment | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """The columns by which its rules are found."""
        return {"deployment": self.deployment} if self.deployment else {"workspace": self.workspace}


def set_rule(*, place: RulePlace, by: User, wish: RuleWish) -> AlertRule:
    """Make the rule of this kind and DAG so; a repeat writes no audit event. Raises InvalidInput, TooManyAlertRules,
    NotNow, and as `locks.lock_for`."""
    dag = wish.dag.strip() if alert_rules.KINDS[wish.kind].of_dag else ""
    amount = wish.amount if alert_rules.KINDS[wish.kind].amount else None
    problems = alert_rules.rule_problems(wish.kind, amount, dag, of_deployment=place.deployment is not None)
    with _changing(place, by) as workspace:
        channels = list(
            AlertChannel.objects.filter(workspace=workspace, pk__in=wish.channels).order_by("name")
        )
        if len(channels) != len(set(wish.channels)):
            problems["channels"] = FOREIGN
        if problems:
            raise InvalidInput(problems)
        rules = AlertRule.objects.select_for_update().filter(**place.columns)
        rule = rules.filter(kind=wish.kind, dag=dag).first()
        old = _audited(rule) if rule else {}
        if rule is None:
            if rules.count() >= MOST_RULES:
                raise TooManyAlertRules
            rule = AlertRule(**place.columns, kind=wish.kind, dag=dag)
        switched_on = wish.enabled and not (rule.enabled and old)
        rule.amount, rule.enabled, rule.updated_by = amount, wish.enabled, by
        rule.save()
        if switched_on:
            AlertRule.objects.filter(pk=rule.pk).update(since=Now())
        rule.channels.set(channels)
        new = _audited(rule)
        if new != old:
            _record(place, by, "changed" if old else "set", rule, old=old, new=new)
    return rule


def remove_rule(*, place: RulePlace, by: User, pk: UUID) -> AlertRule:
    """The rule no longer counts; of a Deployment, the Workspace's counts again. Raises AlertRuleGone, NotNow, and as
    `locks.lock_for`."""
    with _changing(place, by):
        rule = AlertRule.objects.select_for_update().filter(pk=pk, **place.columns).first()
        if rule is None:
            raise AlertRuleGone
        _record(place, by, "removed", rule, old=_audited(rule))
        held = AlertDelivery.objects.filter(rule=rule, state=AlertDelivery.State.HELD)
        held.update(
            state=AlertDelivery.State.FAILED, answer="The rule was removed before its digest was sent."
        )
        Alert.objects.filter(rule=rule, resolved_at__isnull=True).update(
            resolved_at=Now(), note="The rule was removed."
        )
        rule.delete()
    return rule


def switch_on_usual(*, workspace: Workspace, by: User) -> int:
    """The rules that most teams want, mailed to the Admins. Those that exist stay as they are; how many are new. Raises
    as `locks.lock_for`."""
    place = RulePlace(workspace)
    with _changing(place, by):
        channel = AlertChannel.objects.filter(workspace=workspace, kind=ChannelKind.ADMINS).first()
        if channel is None:
            name = ADMINS_NAME
            taken = set(AlertChannel.objects.filter(workspace=workspace).values_list("name", flat=True))
            while name in taken:
                name += " again"
            channel = AlertChannel.objects.create(
                workspace=workspace, kind=ChannelKind.ADMINS, name=name, updated_by=by
            )
        there = set(AlertRule.objects.filter(workspace=workspace).values_list("kind", flat=True))
        missing = [kind for kind in USUAL if kind not in there]
        for kind in missing:
            about = alert_rules.KINDS[kind]
            set_rule(
                place=place,
                by=by,
                wish=RuleWish(kind, about.amount.default if about.amount else None, channels=(channel.pk,)),
            )
    return len(missing)


def leave_alerts_behind(row: Deployment) -> None:
    """A Deployment goes to another Workspace: what is open ends without a message, since other rules count there, and
    its own rules lead to none of the channels that it leaves. Within the transaction of the transfer."""
    Alert.objects.filter(deployment=row, resolved_at__isnull=True).update(
        resolved_at=Now(), note="The Deployment was transferred."
    )
    for rule in row.alert_rules.all():
        rule.channels.clear()


@contextmanager
def _changing(place: RulePlace, by: User) -> Iterator[Workspace]:
    """A transaction that holds what the rules belong to."""
    with transaction.atomic():
        if place.deployment is None:
            yield lock_for(place.workspace.pk, by, Permission.EDIT_WORKSPACE)
            return
        row = Deployment.objects.select_for_update(of=("self",)).get(pk=place.deployment.pk)
        if row.workspace_id != place.deployment.workspace_id:
            raise NotNow(MOVED)
        if row.deleted_at is not None:
            raise NotNow("This Deployment was deleted.")
        yield place.workspace


def _audited(rule: AlertRule) -> dict[str, Any]:
    names = ", ".join(rule.channels.order_by("name").values_list("name", flat=True))
    return {"rule": rule.title, "on": "yes" if rule.enabled else "no", "sent_to": names}


def _record(place: RulePlace, by: User, verb: str, rule: AlertRule, **values: dict[str, Any]) -> None:
    if place.deployment is not None:
        audit.record(place.deployment, by, f"{verb} an alert rule of", **values)
    else:
        audit.record(Subject("alert rule", rule.pk, rule.title, place.workspace.pk), by, verb, **values)
