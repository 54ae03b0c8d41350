"""Which rules count where, and what pages of alerts list."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from console.kit import mail_tries
from deployments.domain.alert_rules import BUSY, KINDS, ChannelKind, RuleDescription, RuleKind
from deployments.models import Alert, AlertChannel, AlertDelivery, AlertRule, AlertSilence, Deployment
from workspaces.models import Membership, Workspace
from workspaces.permissions import Permission, roles_with

MOST_ADMINS = 20  # who are mailed
PAGE_SIZE = 50
LATELY = timedelta(days=7)
RESTS = timedelta(seconds=30)  # who did not answer, before others than the same message try


type Watching = dict[RuleKind, list[tuple[AlertRule, Deployment]]]


def effective(rules: Iterable[AlertRule], rows: Iterable[Deployment]) -> Watching:
    """Which rule counts for which Deployment, by kind: a Deployment's own in place of its Workspace's of the same kind
    and DAG. Rules that are off are left out, after they have taken that place."""
    of_workspace: dict[UUID, dict[tuple[str, str], AlertRule]] = defaultdict(dict)
    of_deployment: dict[UUID, dict[tuple[str, str], AlertRule]] = defaultdict(dict)
    for rule in rules:
        if rule.deployment_id is not None:
            of_deployment[rule.deployment_id][rule.kind, rule.dag] = rule
        elif rule.workspace_id is not None and not rule.about.of_workspace:
            of_workspace[rule.workspace_id][rule.kind, rule.dag] = rule
    found: Watching = defaultdict(list)
    for row in rows:
        for rule in {**of_workspace[row.workspace_id], **of_deployment[row.pk]}.values():
            if rule.enabled:
                found[rule.word].append((rule, row))
    return found


@dataclass(frozen=True)
class RuleRow:
    """A kind of rule and, when there is one, the rule: a row of the page."""

    kind: RuleKind
    rule: AlertRule | None
    inherited: bool = False  # the Workspace's, on the page of a Deployment

    @property
    def label(self) -> str:
        """What the row is called."""
        return self.rule.title if self.rule else KINDS[self.kind].label

    @property
    def sentence(self) -> str:
        """What it watches for."""
        return KINDS[self.kind].sentence

    @property
    def about(self) -> RuleDescription:
        """What there is to say of its kind."""
        return KINDS[self.kind]

    @property
    def is_on(self) -> bool:
        """Whether it counts."""
        return self.rule is not None and self.rule.enabled


def rule_rows(workspace: Workspace, deployment: Deployment | None = None) -> list[RuleRow]:
    """Every kind with its rules; of a Deployment those that count there. Two or three queries."""
    rules = AlertRule.objects.prefetch_related("channels")
    of_workspace = {(each.kind, each.dag): each for each in rules.filter(workspace=workspace)}
    own: dict[tuple[str, str], AlertRule] = {}
    if deployment is not None:
        own = {(each.kind, each.dag): each for each in rules.filter(deployment=deployment)}
    shown = {**of_workspace, **own}
    rows = []
    for kind, about in KINDS.items():
        if deployment is not None and about.of_workspace:
            continue
        mine = sorted((each for key, each in shown.items() if key[0] == kind), key=lambda each: each.dag)
        rows += [RuleRow(kind, each, deployment is not None and (kind, each.dag) not in own) for each in mine]
        if not mine or about.of_dag:
            rows.append(RuleRow(kind, None))
    return rows


def open_alerts(workspace: Workspace, deployment: Deployment | None = None) -> QuerySet[Alert]:
    """What is open, newest first."""
    return _alerts(workspace, deployment).filter(resolved_at__isnull=True)


def one_alert(workspace: Workspace, pk: UUID) -> Alert | None:
    """This alert of the Workspace, open or over."""
    return _alerts(workspace, None).filter(pk=pk).first()


def open_alerts_of_each() -> Coalesce:
    """How many alerts are open, for each row of a query of Workspaces: a look into an index of open ones alone."""
    same = Alert.objects.filter(workspace=OuterRef("pk"), resolved_at__isnull=True).order_by()
    counted = same.values("workspace").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted), 0)


def lately_resolved(workspace: Workspace, deployment: Deployment | None = None) -> QuerySet[Alert]:
    """What was resolved within a week, newest end first."""
    since = timezone.now() - LATELY
    return _alerts(workspace, deployment).filter(resolved_at__gte=since).order_by("-resolved_at")


def _alerts(workspace: Workspace, deployment: Deployment | None) -> QuerySet[Alert]:
    rows = Alert.objects.filter(workspace=workspace).select_related("deployment", "rule")
    return rows if deployment is None else rows.filter(deployment=deployment)


def deliveries(workspace: Workspace, deployment: Deployment | None = None) -> QuerySet[AlertDelivery]:
    """What was sent or is to be, newest first."""
    rows = AlertDelivery.objects.filter(workspace=workspace).select_related("channel", "deployment", "rule")
    return rows if deployment is None else rows.filter(deployment=deployment)


def deliveries_of(workspace: Workspace, alert: Alert) -> QuerySet[AlertDelivery]:
    """What was sent about one alert of the Workspace, newest first."""
    return deliveries(workspace).filter(alert=alert)


def sendable(rows: QuerySet[AlertDelivery]) -> QuerySet[AlertDelivery]:
    """Those of `rows` that need not wait for a mail server, or a webhook, that was silent a moment ago. Each message to
    it keeps a worker for seconds that Deployments need, so one at a time finds out whether it is back. A webhook that
    said that it is busy is left alone until the message which it said so to is due again."""
    others = AlertDelivery.objects.exclude(pk=OuterRef("pk"))
    tried = others.filter(state=AlertDelivery.State.QUEUED, tried_at__gt=Now() - RESTS)
    no_mail = Exists(tried.filter(answer=mail_tries.SILENT))
    # One that is on its way for the first time has no answer yet, and says nothing.
    no_hook = Exists(tried.filter(channel=OuterRef("channel"), status__isnull=True).exclude(answer=""))
    busy = others.filter(state=AlertDelivery.State.QUEUED, channel=OuterRef("channel"), status__in=BUSY)
    rows = rows.exclude(Exists(busy.filter(due_at__gt=Now())))
    web = Q(channel__kind__in=[kind.value for kind in ChannelKind if not kind.is_mail])
    return rows.filter(web & ~no_hook | ~web & ~no_mail)


def silence_of(deployment: Deployment) -> AlertSilence | None:
    """The silence of all alerts of a Deployment, while it lasts."""
    return AlertSilence.objects.filter(deployment=deployment, until__gt=timezone.now()).first()


def channels_of(workspace: Workspace) -> QuerySet[AlertChannel]:
    """Where alerts of the Workspace may be sent, by name."""
    return AlertChannel.objects.filter(workspace=workspace).order_by("name")


def mailboxes(channel: AlertChannel) -> list[str]:
    """Where a channel leads: one entry per message. Whether a mailbox may still be mailed is judged as it is sent."""
    if not channel.word.is_mail:
        return [channel.shown_url]
    if channel.addresses:
        return [str(each) for each in channel.addresses]
    admins = Membership.objects.filter(
        workspace=channel.workspace_id, role__in=roles_with(Permission.EDIT_WORKSPACE), user__is_active=True
    )
    return list(admins.order_by("created_at").values_list("user__email", flat=True)[:MOST_ADMINS])


def member_addresses(workspace_id: UUID) -> list[str]:
    """The addresses of everybody in the Workspace."""
    members = Membership.objects.filter(workspace=workspace_id, user__is_active=True)
    return list(members.values_list("user__email", flat=True))
