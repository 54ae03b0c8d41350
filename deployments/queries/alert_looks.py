"""What rules see in the console's own rows: for each kind one look, of one or two queries for however many Deployments.
What they see in readings of Airflow is in `alert_reading_looks`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.urls import reverse

from console.kit.text import one_line
from deployments.domain.deploy_states import DeployStatus
from deployments.domain.states import Status
from deployments.models import AlertRule, Deploy, Deployment
from deployments.queries.durations import attach
from workspaces.models import ApiToken, Workspace

STEADY_STATUSES = frozenset({Status.HEALTHY, Status.HIBERNATING})
HISTORY = timedelta(days=30)  # an older deploy is no news


@dataclass(frozen=True)
class Firing:
    """Something that a rule is about. `subject` distinguishes two of one rule."""

    headline: str  # without a full stop
    sentence: str = ""
    subject: str = ""
    path: str = ""


@dataclass(frozen=True)
class RuleLook:
    """All that fires, and whether what does not fire is known to be over: without data it is not. `quiet`: what is over
    is no good news, so nothing is sent of it; nor of the subjects in `vanished`. Those in `dropped` are over because a
    person wanted it so, and its sentence is sent."""

    known: bool
    firing: tuple[Firing, ...] = ()
    quiet: bool = False
    vanished: frozenset[str] = frozenset()
    dropped: Mapping[str, str] = field(default_factory=dict)


NO_DATA = RuleLook(known=False)

type Watched = Sequence[tuple[AlertRule, Deployment]]
type Key = tuple[UUID, UUID]  # rule, Deployment
type Looker = Callable[[Watched, datetime], Mapping[Key, RuleLook]]


def _key(rule: AlertRule, row: Deployment) -> Key:
    return rule.pk, row.pk


def unhealthy(watched: Watched, now: datetime) -> Mapping[Key, RuleLook]:
    """Unhealthy for as long as the rule says. A change under way is neither a proof of health nor of the opposite."""
    looks = {}
    for rule, row in watched:
        status = row.shown_status
        firing: tuple[Firing, ...] = ()
        if status is Status.UNHEALTHY and now - row.status_since >= timedelta(minutes=rule.amount or 0):
            firing = (Firing(f"{one_line(row.name)} is Unhealthy", row.status_reason, path=row.url),)
        looks[_key(rule, row)] = RuleLook(status in STEADY_STATUSES, firing)
    return looks


def stalled(watched: Watched, now: datetime) -> Mapping[Key, RuleLook]:
    """A step far past its usual time."""
    attach([row for _, row in watched])
    looks = {}
    for rule, row in watched:
        progress = row.step_progress
        firing: tuple[Firing, ...] = ()
        if progress is not None and progress.stalled:
            usual = f"It usually takes {progress.typical.text}."
            words = f"{progress.waits_for} {usual}" if progress.waits_for else usual
            firing = (Firing(f"{one_line(row.name)} is stalled: {progress.title}", words, path=row.url),)
        looks[_key(rule, row)] = RuleLook(row.shown_status is not Status.UNKNOWN, firing)
    return looks


def _newest_deploys(watched: Watched, now: datetime, *statuses: DeployStatus) -> dict[UUID, Deploy]:
    rows = Deploy.objects.filter(
        deployment__in={row.pk for _, row in watched},
        status__in=[each.value for each in statuses],
        finished_at__gte=now - HISTORY,
    )
    newest = (
        rows.order_by("deployment", "-number")
        .distinct("deployment")
        .defer("packages", "git", "syntax_problems")
    )
    return {each.deployment_id: each for each in newest}


def deploy_failed(watched: Watched, now: datetime) -> Mapping[Key, RuleLook]:
    """The newest finished deploy failed. Each failed one is news; the one before it is over without a message."""
    newest = _newest_deploys(watched, now, DeployStatus.DEPLOYED, DeployStatus.FAILED)
    looks = {}
    for rule, row in watched:
        deploy = newest.get(row.pk)
        if deploy is None or deploy.state is not DeployStatus.FAILED:
            looks[_key(rule, row)] = RuleLook(known=deploy is not None)
            continue
        firing: tuple[Firing, ...] = ()
        if deploy.finished_at is not None and deploy.finished_at >= rule.since:
            headline = f"Deploy {deploy.number} of {one_line(row.name)} failed"
            path = row.url_for("deploy", deploy.number)
            firing = (Firing(headline, deploy.sentence, str(deploy.number), path),)
        looks[_key(rule, row)] = RuleLook(known=True, firing=firing, quiet=True)
    return looks


def runtime_ending(watched: Watched, now: datetime) -> Mapping[Key, RuleLook]:
    """Maintenance that ends soon or has ended, or a runtime that was withdrawn."""
    looks = {}
    for rule, row in watched:
        runtime = row.runtime
        firing: tuple[Firing, ...] = ()
        end = runtime.maintained_until
        if runtime.yanked or end <= now.date() + timedelta(days=rule.amount or 0):
            words = (
                runtime.warning or f"It gets no more fixes after {end.day} {end:%B %Y}. Upgrade before then."
            )
            headline = f"Runtime {runtime.version} of {one_line(row.name)} " + (
                "was withdrawn"
                if runtime.yanked
                else "is not maintained"
                if runtime.deprecated
                else "ends soon"
            )
            firing = (Firing(headline, words, runtime.version, row.url),)
        looks[_key(rule, row)] = RuleLook(known=True, firing=firing)
    return looks


def tokens_ending(rule: AlertRule, workspace: Workspace, now: datetime) -> RuleLook:
    """API tokens of a Workspace and of its Deployments that expire soon."""
    soon = now + timedelta(days=rule.amount or 0)
    rows = ApiToken.objects.live().filter(workspace=workspace, expires_at__lte=soon)
    path = reverse("workspace_tokens", args=[workspace.pk])
    firing = tuple(
        Firing(
            f"API token “{one_line(each.name)}” expires on {each.expires_at.day} {each.expires_at:%B %Y}",
            "Programs that use it are refused from then on. Rotate it and give them the new value.",
            str(each.pk),
            path,
        )
        for each in rows.order_by("expires_at")[:100]
        if each.expires_at is not None
    )
    return RuleLook(known=True, firing=firing, quiet=True)
