"""Pages of alert rules, of a Workspace and of one Deployment."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.kit.http import posted, see_other
from console.kit.refusals import ActionRefused
from deployments.access import deployment_view
from deployments.actions.alert_rules import RulePlace, remove_rule, set_rule
from deployments.domain.alert_rules import DAG_LENGTH, KINDS, USUAL, RuleKind
from deployments.forms.alerts import RuleForm
from deployments.models import AlertRule, Deployment
from deployments.pages.alert_places import Place, rule_in, rule_lines
from deployments.pages.alerts import workspace_context
from deployments.queries import alerts as queries
from workspaces.access import MemberRequest, workspace_view
from workspaces.permissions import Permission


@require_GET
@workspace_view(Permission.VIEW)
def alert_rules(request: MemberRequest) -> HttpResponse:
    """What is watched for in every Deployment of the Workspace."""
    context = workspace_context(request, "Rules")
    place = Place(RulePlace(request.workspace), may_change=context["may_manage"])
    rules = rule_lines(place)
    there = {each.row.kind for each in rules if each.row.rule is not None}
    context |= {
        "rules": rules,
        "offers_usual": context["may_manage"] and not there.issuperset(USUAL),
        "usual_url": request.workspace.url_for("deployments:alerts_usual"),
    }
    return render(request, "deployments/alerts/rules.html", context)


@require_http_methods(["GET", "POST"])
@workspace_view(Permission.EDIT_WORKSPACE)
def alert_rule_new(request: MemberRequest, kind: str) -> HttpResponse:
    """Set up a rule of this kind."""
    return _new(request, Place(RulePlace(request.workspace), may_change=True), kind)


@require_http_methods(["GET", "POST"])
@workspace_view(Permission.EDIT_WORKSPACE)
def alert_rule(request: MemberRequest, rule_id: UUID) -> HttpResponse:
    """Change a rule."""
    return _edit(request, Place(RulePlace(request.workspace), may_change=True), rule_id)


@require_POST
@workspace_view(Permission.EDIT_WORKSPACE)
def alert_rule_remove(request: MemberRequest, rule_id: UUID) -> HttpResponse:
    """Remove a rule."""
    return _remove(request, Place(RulePlace(request.workspace), may_change=True), rule_id)


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def own_rule_new(request: MemberRequest, deployment: Deployment, kind: str) -> HttpResponse:
    """A rule of one Deployment, in place of the Workspace's."""
    return _new(request, Place(RulePlace(request.workspace, deployment), may_change=True), kind)


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def own_rule(request: MemberRequest, deployment: Deployment, rule_id: UUID) -> HttpResponse:
    """Change a rule of one Deployment."""
    return _edit(request, Place(RulePlace(request.workspace, deployment), may_change=True), rule_id)


@require_POST
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def own_rule_remove(request: MemberRequest, deployment: Deployment, rule_id: UUID) -> HttpResponse:
    """The Workspace's rule counts again."""
    return _remove(request, Place(RulePlace(request.workspace, deployment), may_change=True), rule_id)


def _new(request: MemberRequest, place: Place, word: str) -> HttpResponse:
    if word not in list(RuleKind):
        raise Http404
    kind, dag = RuleKind(word), request.GET.get("dag", "")[:DAG_LENGTH]
    if place.rules.deployment is not None and KINDS[kind].of_workspace:
        raise Http404
    fixed = dag if KINDS[kind].of_dag else ""
    return _form_page(request, place, kind, None, fixed)


def _edit(request: MemberRequest, place: Place, pk: UUID) -> HttpResponse:
    rule = rule_in(place.rules, pk)
    if rule is None:
        raise Http404
    return _form_page(request, place, rule.word, rule, rule.dag)


def _form_page(
    request: MemberRequest, place: Place, kind: RuleKind, rule: AlertRule | None, dag: str
) -> HttpResponse:
    shown = rule or _of_workspace(place, kind, dag)
    channels = queries.channels_of(request.workspace)
    form = RuleForm(posted(request), kind=kind, channels=channels, rule=shown, fixed_dag=dag)
    if form.is_bound and form.is_valid():
        try:
            made = set_rule(place=place.rules, by=request.user, wish=form.wish())
        except ActionRefused as refused:
            form.refuse(refused)
        else:
            messages.success(request, f"{made.title} is {'on' if made.enabled else 'off'}.")
            return see_other(place.list_url)
    context: dict[str, Any] = {
        "form": form,
        "about": KINDS[kind],
        "dag": dag,
        "place": place,
        "deployment": place.rules.deployment,
        "rule": rule,
        "remove_url": place.url("rule_remove", rule.pk) if rule else "",
        "channels_url": request.workspace.url_for("deployments:alert_channels"),
        "has_channels": bool(form.fields["channels"].choices),  # type: ignore[attr-defined]
    }
    return render(request, "deployments/alerts/rule.html", context, status=422 if form.is_bound else 200)


def _of_workspace(place: Place, kind: RuleKind, dag: str) -> AlertRule | None:
    """What counts now where one of a Deployment is about to be set."""
    if place.rules.deployment is None:
        return None
    rules = AlertRule.objects.prefetch_related("channels")
    return rules.filter(workspace=place.rules.workspace, kind=kind, dag=dag).first()


def _remove(request: MemberRequest, place: Place, pk: UUID) -> HttpResponse:
    try:
        rule = remove_rule(place=place.rules, by=request.user, pk=pk)
    except ActionRefused as refused:
        messages.error(request, refused.sentence)
    else:
        after = " The rule of the Workspace applies again." if place.rules.deployment else ""
        messages.success(request, f"The rule “{rule.title}” is removed.{after}")
    return see_other(place.list_url)
