"""Follows the rules: opens alerts, reminds of them and resolves them. A task of its own, never a part of a pass.

However many processes do it at a time, each move is made once: an alert is opened under a unique constraint, and
reminded of and resolved by a conditional UPDATE; its messages are written in the same transaction. The database's clock
decides. Nothing is sent here: `reconciler.alert_delivery` does that.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from console.kit.database_clock import database_now
from deployments.domain.alert_life import Move, decide, truth_of
from deployments.domain.alert_rules import RuleKind
from deployments.models import Alert, AlertRule, AlertSilence, Deployment
from deployments.queries import alert_looks, alert_reading_looks
from deployments.queries import alerts as queries
from deployments.queries.alert_looks import NO_DATA, Firing, Looker, RuleLook, tokens_ending
from deployments.reconciler import alert_outbox

logger = structlog.get_logger(__name__)

LOOKERS: dict[RuleKind, Looker] = {
    RuleKind.UNHEALTHY: alert_looks.unhealthy,
    RuleKind.STALLED: alert_looks.stalled,
    RuleKind.DEPLOY_FAILED: alert_looks.deploy_failed,
    RuleKind.RUN_FAILED: alert_reading_looks.run_failed,
    RuleKind.NO_SUCCESS: alert_reading_looks.no_success,
    RuleKind.QUEUE_WAITING: alert_reading_looks.queue_waiting,
    RuleKind.QUEUE_MISSING: alert_reading_looks.queue_missing,
    RuleKind.IMPORT_ERRORS: alert_reading_looks.import_errors,
    RuleKind.SCHEDULER_SILENT: alert_reading_looks.scheduler_silent,
    RuleKind.RUNTIME_ENDING: alert_looks.runtime_ending,
}

type Place = tuple[UUID, UUID | None]  # rule, Deployment; None for what is about the Workspace

GONE = "The Deployment was deleted."
RULE_GONE = "The rule was switched off, or another one counts now."


def follow() -> int:
    """Look at everything that a rule watches, and make the moves that are due; how many were made. What fails for one
    rule is logged and tried again by the next look; the others go on."""
    now = database_now()
    # Alerts before rules: one that another process opens in between, by a new rule, would else count as a stray.
    opened = list(Alert.objects.filter(resolved_at__isnull=True).select_related("workspace", "deployment"))
    rules = list(AlertRule.objects.select_related("workspace"))
    if not rules:
        return _close_strays(opened, set())
    rows = _rows(rules)
    standing = _by_place(opened)
    muted = set(AlertSilence.objects.filter(until__gt=now).values_list("deployment_id", flat=True))
    watched = queries.effective(rules, rows)
    moves = 0
    for kind, pairs in watched.items():
        try:
            looks = LOOKERS[kind](pairs, now)
        except Exception:
            logger.exception("alert_look_failed", kind=kind)
            continue
        for rule, row in pairs:
            look = _unless_asleep(kind, row, looks.get((rule.pk, row.pk), NO_DATA))
            known = standing.get((rule.pk, row.pk), {})
            moves += _move_all(rule, row, look, known, now, muted=row.pk in muted)
    for rule in rules:
        if rule.word is RuleKind.TOKEN_ENDING and rule.enabled and rule.workspace is not None:
            try:
                look = tokens_ending(rule, rule.workspace, now)
            except Exception:
                logger.exception("alert_look_failed", kind=rule.kind)
                continue
            moves += _move_all(rule, None, look, standing.get((rule.pk, None), {}), now)
    places: set[Place] = {(rule.pk, row.pk) for pairs in watched.values() for rule, row in pairs}
    places |= {(rule.pk, None) for rule in rules if rule.enabled and rule.about.of_workspace}
    return moves + _close_strays(opened, places)


def _rows(rules: Iterable[AlertRule]) -> list[Deployment]:
    """Every Deployment that a rule may be about. One query."""
    workspaces = {rule.workspace_id for rule in rules if rule.workspace_id}
    own = {rule.deployment_id for rule in rules if rule.deployment_id}
    alive = Deployment.objects.filter(deleted_at__isnull=True, delete_requested_at__isnull=True)
    found = alive.filter(Q(workspace__in=workspaces) | Q(pk__in=own))
    return list(found.select_related("cluster", "runtime", "workspace", "reading"))


def _by_place(opened: Iterable[Alert]) -> Mapping[Place, Mapping[str, Alert]]:
    found: dict[Place, dict[str, Alert]] = defaultdict(dict)
    for alert in opened:
        if alert.rule_id is not None:
            found[alert.rule_id, alert.deployment_id][alert.subject] = alert
    return found


def _unless_asleep(kind: RuleKind, row: Deployment, look: RuleLook) -> RuleLook:
    """A Deployment that sleeps has no data, and nothing about it is news: what is open stays so, in silence, except for
    what sleeping ends."""
    if not row.hibernating:
        return look
    ended = kind in {RuleKind.UNHEALTHY, RuleKind.STALLED} and look.known and not look.firing
    return look if ended else NO_DATA


def _move_all(
    rule: AlertRule,
    row: Deployment | None,
    look: RuleLook,
    standing: Mapping[str, Alert],
    now: datetime,
    *,
    muted: bool = False,
) -> int:
    """Every subject of one rule and Deployment; how many moves."""
    firing = {each.subject: each for each in look.firing}
    moves = 0
    for subject in {**firing, **standing}:
        alert = standing.get(subject)
        truth = truth_of(subject, firing, known=look.known)
        decision = decide(alert.standing if alert else None, truth, now, muted=muted)
        try:
            with transaction.atomic():
                if decision.move is Move.OPEN:
                    moves += _open(rule, row, firing[subject])
                elif alert is None:
                    continue
                elif decision.move is Move.REMIND:
                    moves += _remind(rule, alert, decision.reminders, firing[subject])
                elif decision.move in {Move.RESOLVE, Move.CLOSE}:
                    quiet = look.quiet or subject in look.vanished or decision.move is Move.CLOSE
                    moves += _resolve(rule, alert, quiet=quiet, why=look.dropped.get(subject, ""))
        except IntegrityError:  # another process opened it, or a person removed the rule or the Deployment
            continue
        except Exception:
            logger.exception("alert_move_failed", rule=str(rule.pk), move=decision.move)
    return moves


def _words(row: Deployment | None, firing: Firing) -> dict[str, str]:
    return {
        "headline": firing.headline[:400],
        "sentence": alert_outbox.scrubbed(row, firing.sentence)[:1000],
    }


def _open(rule: AlertRule, row: Deployment | None, firing: Firing) -> int:
    if row is not None and not _is_still_there(row):
        return 0
    workspace = row.workspace if row is not None else rule.workspace
    assert workspace is not None  # noqa: S101 - a rule is of one of both
    alert = Alert(
        rule=rule,
        workspace=workspace,
        deployment=row,
        kind=rule.kind,
        subject=firing.subject[:300],
        **_words(row, firing),
    )
    alert.save(force_insert=True)
    alert_outbox.put(rule, alert, "opened", path=firing.path)
    return 1


def _is_still_there(row: Deployment) -> bool:
    """Whether it is in the Workspace in which it was looked at, until the transaction ends: what is seen of it after a
    transfer is none of the former one's business."""
    here = Deployment.objects.filter(pk=row.pk, workspace=row.workspace_id)
    return here.select_for_update(no_key=True).exists()


def _remind(rule: AlertRule, alert: Alert, reminders: int, firing: Firing) -> int:
    """A reminder says what is so now, and so does the alert from then on."""
    same = Alert.objects.filter(pk=alert.pk, resolved_at__isnull=True, reminders=alert.reminders)
    words = _words(alert.deployment, firing)
    if not same.update(reminders=reminders, **words):
        return 0
    alert.headline, alert.sentence = words["headline"], words["sentence"]
    alert_outbox.put(rule, alert, "reminded", path=firing.path)
    return 1


def _resolve(rule: AlertRule, alert: Alert, *, quiet: bool, why: str) -> int:
    same = Alert.objects.filter(pk=alert.pk, resolved_at__isnull=True)
    if not same.update(resolved_at=Now(), note=why):
        return 0
    alert.sentence = why or alert.sentence
    if not quiet:
        alert_outbox.put(rule, alert, "resolved")
    return 1


def _close_strays(opened: Iterable[Alert], places: set[Place]) -> int:
    """What no rule watches any more ends without a message."""
    closed = 0
    for alert in opened:
        if alert.rule_id is not None and (alert.rule_id, alert.deployment_id) in places:
            continue
        row = alert.deployment
        note = GONE if row is not None and (row.is_deleting or row.deleted_at is not None) else RULE_GONE
        closed += Alert.objects.filter(pk=alert.pk, resolved_at__isnull=True).update(
            resolved_at=Now(), note=note
        )
    return closed
