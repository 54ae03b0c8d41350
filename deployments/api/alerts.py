"""What alert rules saw, in a Workspace and in one Deployment, and silencing it."""

from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet
from ninja import Router, Schema
from ninja.params.functions import Query

from console.kit import cursors
from console.kit.http_json import Input, Number, form_data
from deployments.actions import alerts as actions
from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.forms.alerts import SilenceForm
from deployments.models import Alert, Deployment
from deployments.queries import alerts as queries
from workspaces.api.auth import ApiRequest, InWorkspace
from workspaces.api.inputs import page_cursor, page_limit
from workspaces.models import Workspace
from workspaces.permissions import Permission

router = Router(tags=["Alerts"])
IN_WORKSPACE = "/workspaces/{uuid:workspace_id}/alerts"
IN_DEPLOYMENT = "/deployments/{slug:release_name}/alerts"
STATES = {"open": "opened_at", "resolved": "resolved_at"}  # each list by its newest moment


class AlertOut(Schema):
    """One thing that a rule saw. `release_name` is null for what is about the Workspace. `note` says why it ended,
    when not by itself."""

    id: UUID
    kind: str
    rule: str
    headline: str
    sentence: str
    release_name: str | None
    opened_at: datetime
    resolved_at: datetime | None
    note: str
    silenced_until: datetime | None
    silenced_by: str


class AlertPage(Schema):
    """A page of a list, newest first."""

    items: list[AlertOut]
    next: str | None


class DeploymentAlertPage(AlertPage):
    """The same of one Deployment, with the time until which nothing at all is sent of it."""

    silenced_until: datetime | None


class SilenceIn(Input):
    """For how long nothing is sent: 1, 4, 24 or 168 hours; 0 ends it."""

    hours: Number


class SilenceOut(Schema):
    """Until when nothing is sent; null when it is not silenced."""

    silenced_until: datetime | None


def _document(alert: Alert) -> AlertOut:
    return AlertOut(
        id=alert.pk,
        kind=alert.kind,
        rule=alert.rule.title if alert.rule and not alert.went_away else "",
        headline=alert.headline,
        sentence=alert.sentence,
        release_name=alert.deployment.release_name if alert.deployment else None,
        opened_at=alert.opened_at,
        resolved_at=alert.resolved_at,
        note=alert.note,
        silenced_until=alert.silenced_until if alert.is_silenced else None,
        silenced_by=alert.silenced_by if alert.is_silenced else "",
    )


def _state() -> str:
    """Which alerts are listed; other words are refused."""
    found: str = Query(
        "open", pattern="^(open|resolved)$", description="`open`, or `resolved` within the last seven days."
    )
    return found


def _page(
    workspace: Workspace, deployment: Deployment | None, state: str, limit: int, cursor: str
) -> tuple[list[AlertOut], str | None]:
    listed = queries.open_alerts if state == "open" else queries.lately_resolved
    moment = STATES[state]
    rows: QuerySet[Alert] = listed(workspace, deployment).order_by(f"-{moment}", "-pk")
    rows = rows.filter(cursors.after(cursor, (f"-{moment}", datetime), ("-pk", UUID)))
    found, following = cursors.page(
        list(rows[: limit + 1]),
        limit,
        lambda row: cursors.pack(getattr(row, moment).isoformat(), str(row.pk)),
    )
    return [_document(row) for row in found], following


@router.get(
    IN_WORKSPACE,
    auth=InWorkspace(Permission.VIEW),
    response=AlertPage,
    url_name="workspace_alerts",
    operation_id="list_alerts_of_workspace",
)
def of_workspace(
    request: ApiRequest,
    workspace_id: UUID,
    state: str = _state(),
    limit: int = page_limit(),
    cursor: str = page_cursor(),
) -> AlertPage:
    """What is open in the Workspace, or was resolved lately."""
    items, following = _page(request.membership.workspace, None, state, limit, cursor)
    return AlertPage(items=items, next=following)


@router.get(
    IN_DEPLOYMENT,
    auth=OnDeployment(Permission.VIEW),
    response=DeploymentAlertPage,
    url_name="alerts",
    operation_id="list_alerts_of_deployment",
)
def of_deployment(
    request: DeploymentRequest,
    release_name: str,
    state: str = _state(),
    limit: int = page_limit(),
    cursor: str = page_cursor(),
) -> DeploymentAlertPage:
    """What is open in one Deployment, or was resolved lately."""
    deployment = request.deployment
    items, following = _page(deployment.workspace, deployment, state, limit, cursor)
    silence = queries.silence_of(deployment)
    return DeploymentAlertPage(items=items, next=following, silenced_until=silence.until if silence else None)


def _hours(payload: SilenceIn) -> int:
    """Raises InvalidInput for what is not in the list."""
    typed = form_data(payload, numbers=("hours",))
    form = SilenceForm({"hours": str(typed.data.get("hours", ""))})
    typed.refuse(form.errors)
    return form.hours_asked()


@router.post(
    f"{IN_WORKSPACE}/{{uuid:alert_id}}/silence",
    auth=InWorkspace(Permission.EDIT_DEPLOYMENT),
    response=AlertOut,
    url_name="silence_alert",
    operation_id="silence_alert",
)
def silence(request: ApiRequest, workspace_id: UUID, alert_id: UUID, payload: SilenceIn) -> AlertOut:
    """Send nothing more about one open alert for so many hours."""
    hours = _hours(payload)
    workspace, by = request.membership.workspace, request.caller.user
    actions.silence_alert(workspace=workspace, by=by, pk=alert_id, hours=hours)
    return _document(Alert.objects.select_related("deployment", "rule").get(pk=alert_id))


@router.post(
    f"{IN_DEPLOYMENT}/silence",
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response=SilenceOut,
    url_name="silence_deployment",
    operation_id="silence_deployment",
)
def silence_all(request: DeploymentRequest, release_name: str, payload: SilenceIn) -> SilenceOut:
    """Send nothing about a Deployment for so many hours: before work that you expect."""
    hours = _hours(payload)
    until = actions.silence_deployment(deployment=request.deployment, by=request.caller.user, hours=hours)
    return SilenceOut(silenced_until=until)
