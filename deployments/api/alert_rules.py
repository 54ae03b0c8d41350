"""Rules of alerts, of a Workspace and of one Deployment in their place."""

from typing import Any
from uuid import UUID

from ninja import Router, Schema, Status

from console.kit.http_json import NOT_FLAG, Flag, Input, Number, OptionalText, Text, form_data
from console.kit.refusals import InvalidInput
from deployments.actions.alert_rules import FOREIGN, RulePlace, remove_rule, set_rule
from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.domain.alert_rules import KINDS, RuleKind
from deployments.forms.alerts import RuleForm
from deployments.models import AlertChannel, AlertRule
from deployments.queries import alerts as queries
from workspaces.api.auth import ApiRequest, InWorkspace
from workspaces.models import User
from workspaces.permissions import Permission

router = Router(tags=["Alerts"])
IN_WORKSPACE = "/workspaces/{uuid:workspace_id}/alert-rules"
IN_DEPLOYMENT = "/deployments/{slug:release_name}/alert-rules"
ANY_KIND = f"Enter one of {', '.join(RuleKind)}."


class RuleOut(Schema):
    """A rule. `amount` is in `unit` ("minute", "hour", "day"); both null where the kind has none. `channels` are where
    its alerts are sent; without any they are shown on the pages alone. `inherited`: the Workspace's, in a list of what
    counts in one Deployment."""

    id: UUID
    kind: str
    title: str
    amount: int | None
    unit: str | None
    dag: str
    enabled: bool
    channels: list[str]
    inherited: bool


class RuleList(Schema):
    """All of them, by kind."""

    items: list[RuleOut]


class RuleIn(Input):
    """A rule as it is to be. `amount` is the kind's default and `channels` (names or ids) are none unless they are
    sent."""

    kind: Text
    amount: Number = None
    dag: OptionalText = ""
    enabled: Flag = True
    channels: list[Text] = []


def _document(rule: AlertRule, *, inherited: bool = False) -> RuleOut:
    amount = rule.about.amount
    return RuleOut(
        id=rule.pk,
        kind=rule.kind,
        title=rule.title,
        amount=rule.amount,
        unit=amount.unit if amount else None,
        dag=rule.dag,
        enabled=rule.enabled,
        channels=sorted(each.name for each in rule.channels.all()),
        inherited=inherited,
    )


def _list(place: RulePlace) -> RuleList:
    rows = queries.rule_rows(place.workspace, place.deployment)
    return RuleList(items=[_document(row.rule, inherited=row.inherited) for row in rows if row.rule])


def _set(place: RulePlace, by: User, payload: RuleIn) -> RuleOut:
    """Raises InvalidInput, and as `set_rule`."""
    typed = form_data(payload, texts=("kind", "dag"), numbers=("amount",))
    word = str(typed.data.get("kind", ""))
    if word not in list(RuleKind):
        typed.refuse({"kind": [ANY_KIND]})
    kind = RuleKind(word)
    if not isinstance(typed.data.get("enabled", True), bool):
        typed.problems["enabled"] = NOT_FLAG
    data: dict[str, Any] = {
        name: value for name, value in typed.data.items() if name != "kind" and value != ""
    }
    about, channels = KINDS[kind], list(queries.channels_of(place.workspace))
    for name, has_it in (("amount", about.amount is not None), ("dag", about.of_dag)):
        if name in data and not has_it:
            typed.problems[name] = f"“{about.label}” has no {name}. Leave it out."
            del data[name]
    if about.amount is not None:
        data.setdefault("amount", about.amount.default)
    data = {"enabled": True, **data, "channels": _ids(data.get("channels", []), channels)}
    form = RuleForm(data, kind=kind, channels=channels, rule=None)
    typed.refuse(form.errors)
    made = set_rule(place=place, by=by, wish=form.wish())
    return _document(made)


def _ids(asked: object, channels: list[AlertChannel]) -> list[str]:
    """Of channels that were named; what is none is passed on, for the form to refuse."""
    if not isinstance(asked, list) or not all(isinstance(each, str) for each in asked):
        raise InvalidInput({"channels": FOREIGN})
    by_name = {each.name: str(each.pk) for each in channels}
    return [by_name.get(str(each), str(each)) for each in asked]


@router.get(
    IN_WORKSPACE,
    auth=InWorkspace(Permission.VIEW),
    response=RuleList,
    url_name="workspace_alert_rules",
    operation_id="list_alert_rules_of_workspace",
)
def workspace_list(request: ApiRequest, workspace_id: UUID) -> RuleList:
    """What is watched for in every Deployment of the Workspace."""
    return _list(RulePlace(request.membership.workspace))


@router.post(
    IN_WORKSPACE,
    auth=InWorkspace(Permission.EDIT_WORKSPACE),
    response=RuleOut,
    url_name="workspace_alert_rules",
    operation_id="set_alert_rule_of_workspace",
)
def workspace_set(request: ApiRequest, workspace_id: UUID, payload: RuleIn) -> RuleOut:
    """Make the rule of this kind, and of this DAG where the kind is about one, what is sent: a new one, or the one
    there is."""
    return _set(RulePlace(request.membership.workspace), request.caller.user, payload)


@router.delete(
    f"{IN_WORKSPACE}/{{uuid:rule_id}}",
    auth=InWorkspace(Permission.EDIT_WORKSPACE),
    response={204: None},
    url_name="workspace_alert_rule",
    operation_id="delete_alert_rule_of_workspace",
)
def workspace_delete(request: ApiRequest, workspace_id: UUID, rule_id: UUID) -> Status[None]:
    """Delete a rule. Its open alerts end without a message."""
    remove_rule(place=RulePlace(request.membership.workspace), by=request.caller.user, pk=rule_id)
    return Status(204, None)


@router.get(
    IN_DEPLOYMENT,
    auth=OnDeployment(Permission.VIEW),
    response=RuleList,
    url_name="alert_rules",
    operation_id="list_alert_rules_of_deployment",
)
def deployment_list(request: DeploymentRequest, release_name: str) -> RuleList:
    """What is watched for in one Deployment: its own rules, and those of the Workspace that apply there."""
    return _list(RulePlace(request.deployment.workspace, request.deployment))


@router.post(
    IN_DEPLOYMENT,
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response=RuleOut,
    url_name="alert_rules",
    operation_id="set_alert_rule_of_deployment",
)
def deployment_set(request: DeploymentRequest, release_name: str, payload: RuleIn) -> RuleOut:
    """Give a Deployment a rule of its own: it applies there in place of the Workspace's."""
    return _set(RulePlace(request.deployment.workspace, request.deployment), request.caller.user, payload)


@router.delete(
    f"{IN_DEPLOYMENT}/{{uuid:rule_id}}",
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response={204: None},
    url_name="alert_rule",
    operation_id="delete_alert_rule_of_deployment",
)
def deployment_delete(request: DeploymentRequest, release_name: str, rule_id: UUID) -> Status[None]:
    """Delete a Deployment's own rule: the Workspace's applies there again."""
    place = RulePlace(request.deployment.workspace, request.deployment)
    remove_rule(place=place, by=request.caller.user, pk=rule_id)
    return Status(204, None)
