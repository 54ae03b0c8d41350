"""Pages of alerts: what is open in a Workspace and in one Deployment, what was sent, and silencing both."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from console.kit.http import see_other
from console.kit.refusals import ActionRefused
from deployments.access import deployment_view
from deployments.actions import alerts as actions
from deployments.actions.alert_rules import RulePlace, switch_on_usual
from deployments.forms.alerts import SilenceForm
from deployments.models import Alert, AlertDelivery, Deployment
from deployments.pages.alert_places import Place, rule_lines
from deployments.pages.common import page_context
from deployments.presenters import alerts as shown
from deployments.queries import alerts as queries
from workspaces.access import MemberRequest, who_can, workspace_view
from workspaces.limits import limited
from workspaces.permissions import Permission

MOST_OPEN = 100
FEW = 10
EVERY, SOON = 30, 3  # seconds until an open page looks again; the shorter one while a message is on its way
OF_ALERT = "alert"  # no release name


def workspace_tabs(request: MemberRequest, now: str) -> list[dict[str, Any]]:
    """Alerts · Rules · Channels · Deliveries."""
    url = request.workspace.url_for
    tabs = (
        ("Alerts", "workspace_alerts"),
        ("Rules", "alert_rules"),
        ("Channels", "alert_channels"),
        ("Deliveries", "alert_deliveries"),
    )
    return [
        {"label": label, "url": url(f"deployments:{name}"), "current": label == now} for label, name in tabs
    ]


def workspace_context(request: MemberRequest, tab: str) -> dict[str, Any]:
    """What each page of the alerts of a Workspace needs."""
    may_manage = request.can(Permission.EDIT_WORKSPACE)
    return {
        "tabs": workspace_tabs(request, tab),
        "may_manage": may_manage,
        "who": [] if may_manage else who_can(request.workspace, Permission.EDIT_WORKSPACE),
    }


def _rows(request: MemberRequest, alerts: Any) -> list[dict[str, Any]]:
    may = request.can(Permission.EDIT_DEPLOYMENT)
    url = request.workspace.url_for
    return [
        {
            "alert": each,
            "kind": shown.alert_kind(each),
            "url": url("deployments:alert", each.pk),
            "silence_url": url("deployments:alert_silence", each.pk) if may else "",
        }
        for each in alerts
    ]


@require_GET
@workspace_view(Permission.VIEW)
def workspace_alerts(request: MemberRequest) -> HttpResponse:
    """What is open in the Workspace, and what was lately."""
    rules = list(request.workspace.alert_rules.values_list("enabled", flat=True))
    context = {
        **workspace_context(request, "Alerts"),
        "open": _rows(request, queries.open_alerts(request.workspace)[:MOST_OPEN]),
        "resolved": queries.lately_resolved(request.workspace)[:FEW],
        "has_rules": any(rules),
        "silence_form": SilenceForm(),
        "every": EVERY,
        "usual_url": request.workspace.url_for("deployments:alerts_usual"),
        "rules_url": request.workspace.url_for("deployments:alert_rules"),
    }
    return render(request, "deployments/alerts/alerts.html", context)


@require_GET
@workspace_view(Permission.VIEW)
def alert(request: MemberRequest, alert_id: UUID) -> HttpResponse:
    """One alert, open or over: what the rule saw, and everything that was sent about it."""
    found = queries.one_alert(request.workspace, alert_id)
    if found is None:
        raise Http404
    may_silence = found.resolved_at is None and request.can(Permission.EDIT_DEPLOYMENT)
    url = request.workspace.url_for
    deliveries = _deliveries(request, queries.deliveries_of(request.workspace, found))
    context = {
        "alert": found,
        "kind": shown.alert_kind(found),
        "state": shown.alert_state(found),
        "rule_url": _rule_url(request, found),
        "silence_url": url("deployments:alert_silence", found.pk) if may_silence else "",
        "silence_form": SilenceForm(),
        "deliveries": deliveries,
        "every": _every(deliveries),
    }
    return render(request, "deployments/alerts/alert.html", context)


def _rule_url(request: MemberRequest, found: Alert) -> str:
    """Where its rule is changed, for those who may."""
    rule = found.rule
    if rule is None:
        return ""
    if rule.deployment_id is not None and found.deployment is not None:
        may = request.can(Permission.EDIT_DEPLOYMENT) and found.deployment.deleted_at is None
        return found.deployment.url_for("own_rule", rule.pk) if may else ""
    may = request.can(Permission.EDIT_WORKSPACE)
    return request.workspace.url_for("deployments:alert_rule", rule.pk) if may else ""


@require_POST
@workspace_view(Permission.EDIT_WORKSPACE)
def alerts_usual(request: MemberRequest) -> HttpResponse:
    """Switch on what most teams want."""
    try:
        count = switch_on_usual(workspace=request.workspace, by=request.user)
    except ActionRefused as refused:
        messages.error(request, refused.sentence)
    else:
        rules = "1 rule is" if count == 1 else f"{count} rules are"
        text = f"{rules} on; alerts are emailed to the Admins." if count else "These rules exist already."
        messages.success(request, text)
    return see_other(request.workspace.url_for("deployments:alert_rules"))


@require_GET
@workspace_view(Permission.VIEW)
def alert_deliveries(request: MemberRequest) -> HttpResponse:
    """What was sent, and what came back."""
    page = Paginator(queries.deliveries(request.workspace), queries.PAGE_SIZE).get_page(
        request.GET.get("page")
    )
    deliveries = _deliveries(request, page.object_list)
    context = {
        **workspace_context(request, "Deliveries"),
        "page": page,
        "deliveries": deliveries,
        "every": _every(deliveries),
    }
    return render(request, "deployments/alerts/deliveries.html", context)


def _deliveries(request: MemberRequest, rows: Any) -> list[shown.DeliveryLine]:
    may = request.can(Permission.EDIT_DEPLOYMENT)
    url = request.workspace.url_for
    return [
        shown.delivery_line(
            row,
            again_url=url("deployments:alert_again", row.pk) if may else "",
            alert_url=url("deployments:alert", row.alert_id) if row.alert_id else "",
        )
        for row in rows
    ]


def _every(deliveries: list[shown.DeliveryLine]) -> int:
    """Soon while a message is sent for the first time; a retry may take an hour."""
    on_its_way = (each.row.state == AlertDelivery.State.QUEUED and not each.row.tries for each in deliveries)
    return SOON if any(on_its_way) else EVERY


@require_POST
@limited("alert_again", limit=actions.AGAIN_RATE[0], seconds=actions.AGAIN_RATE[1])
@workspace_view(Permission.EDIT_DEPLOYMENT)
def alert_again(request: MemberRequest, delivery_id: UUID) -> HttpResponse:
    """Send a message once more."""
    try:
        row = actions.send_again(workspace=request.workspace, by=request.user, pk=delivery_id)
    except ActionRefused as refused:
        messages.error(request, refused.sentence)
    else:
        messages.success(request, f"The message to {row.address} is sent again.")
    about = queries.deliveries(request.workspace).filter(pk=delivery_id).values_list("alert_id", flat=True)
    return see_other(_back(request, "alert_deliveries", about.first()))


@require_POST
@workspace_view(Permission.EDIT_DEPLOYMENT)
def alert_silence(request: MemberRequest, alert_id: UUID) -> HttpResponse:
    """Send nothing more about one alert for a while, or end that."""
    hours = SilenceForm(request.POST).hours_asked()
    try:
        alert = actions.silence_alert(workspace=request.workspace, by=request.user, pk=alert_id, hours=hours)
    except ActionRefused as refused:
        messages.error(request, refused.sentence)
    else:
        messages.success(request, _silenced(alert))
    return see_other(_back(request, "workspace_alerts", alert_id))


def _silenced(alert: Alert) -> str:
    return "The alert is silenced." if alert.silenced_until else "The alert is no longer silenced."


def _back(request: MemberRequest, name: str, alert_id: UUID | None) -> str:
    """The page on which the button was: of one alert, of a Deployment, or of the Workspace."""
    of = request.POST.get("of", "")
    if of == OF_ALERT and alert_id is not None:
        return request.workspace.url_for("deployments:alert", alert_id)
    row = Deployment.objects.filter(workspace=request.workspace, release_name=of).first() if of else None
    return row.url_for("alerts") if row else request.workspace.url_for(f"deployments:{name}")


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def deployment_alerts(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """What is open in one Deployment, which rules count there, and what was sent."""
    workspace = request.workspace
    place = Place(RulePlace(workspace, deployment), may_change=request.can(Permission.EDIT_DEPLOYMENT))
    silence = queries.silence_of(deployment)
    deliveries = _deliveries(request, queries.deliveries(workspace, deployment)[:FEW])
    context = {
        **page_context(request, deployment, "Alerts"),
        "open": _rows(request, queries.open_alerts(workspace, deployment)[:MOST_OPEN]),
        "resolved": queries.lately_resolved(workspace, deployment)[:FEW],
        "rules": rule_lines(place),
        "may_silence": request.can(Permission.EDIT_DEPLOYMENT),
        "silence": silence,
        "all_alerts": f"all alerts of {deployment.name}",
        "silence_form": SilenceForm(),
        "silence_url": deployment.url_for("alerts_silence"),
        "workspace_rules_url": workspace.url_for("deployments:alert_rules"),
        "deliveries": deliveries,
        "every": _every(deliveries),
    }
    return render(request, "deployments/alerts/deployment_alerts.html", context)


@require_POST
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def deployment_silence(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Send nothing about a Deployment for a while, or end that."""
    hours = SilenceForm(request.POST).hours_asked()
    try:
        actions.silence_deployment(deployment=deployment, by=request.user, hours=hours)
    except ActionRefused as refused:
        messages.error(request, refused.sentence)
    else:
        words = "are silenced" if hours else "are no longer silenced"
        messages.success(request, f"Alerts of {deployment.name} {words}.")
    return see_other(deployment.url_for("alerts"))
