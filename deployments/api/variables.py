"""Environment variables. What is secret goes in and never comes out."""

from datetime import datetime
from typing import Any

from django.http import Http404, HttpResponse
from ninja import Router, Schema, Status

from console.kit.http_json import (
    NOT_FLAG,
    NOT_TEXT,
    Flag,
    Input,
    OptionalText,
    Stale,
    Text,
    etag,
    require_match,
)
from console.kit.refusals import InvalidInput
from deployments.actions import variables as actions
from deployments.actions.refusals import VariablesChanged
from deployments.actions.variables import DesiredVariable
from deployments.api import answers
from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.api.schemas import Changed
from deployments.models import Deployment, EnvironmentVariable
from workspaces.permissions import Permission

router = Router(tags=["Variables"])
ALL = "/deployments/{slug:release_name}/variables"
ONE = "/deployments/{slug:release_name}/variables/{slug:key}"


class Variable(Schema):
    """An environment variable; the value of a secret is null."""

    key: str
    value: str | None
    secret: bool
    updated_at: datetime


class Variables(Schema):
    """All of them, by key."""

    items: list[Variable]


class VariableValue(Input):
    """A value. Without one a secret keeps the one that it has."""

    value: OptionalText = None
    secret: Flag = None


class KeyedValue(VariableValue):
    """A variable of a list."""

    key: Text


class VariableList(Input):
    """All variables as they are to be: what is not in the list is deleted."""

    items: list[KeyedValue]


def _document(row: EnvironmentVariable) -> Variable:
    return Variable(
        key=row.key,
        value=None if row.is_secret else row.value,
        secret=row.is_secret,
        updated_at=row.updated_at,
    )


def variables_etag(deployment: Deployment) -> tuple[str, int]:
    """The ETag of all variables, and the revision that it stands for."""
    revision = actions.latest_revision(deployment)
    return etag(str(deployment.pk), "variables", revision), revision


def _desired_variable(
    key: object, payload: VariableValue, path: str, problems: dict[str, str]
) -> DesiredVariable:
    """As the action takes it; what is of the wrong kind is noted down."""
    given: dict[str, Any] = payload.given()
    value, secret = given.get("value"), given.get("secret")
    problems |= {f"{path}{name}": sentence for name, sentence in payload.strange().items()}
    if not isinstance(key, str):
        problems[f"{path}key"] = NOT_TEXT
    if value is not None and not isinstance(value, str):
        problems[f"{path}value"] = NOT_TEXT
    if secret is not None and not isinstance(secret, bool):
        problems[f"{path}secret"] = NOT_FLAG
    return DesiredVariable(str(key), value, secret)


@router.get(
    ALL,
    auth=OnDeployment(Permission.VIEW),
    response=Variables,
    url_name="variables",
    operation_id="list_variables",
)
def variable_list(request: DeploymentRequest, release_name: str, response: HttpResponse) -> Variables:
    """Every variable, by key: at most 500. The ETag is for If-Match of PUT."""
    response["ETag"] = variables_etag(request.deployment)[0]
    return Variables(items=[_document(row) for row in request.deployment.variables.order_by("key")])


@router.put(
    ALL,
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response={200: Changed, 202: Changed},
    url_name="variables",
    operation_id="replace_variables",
)
def replace(
    request: DeploymentRequest, release_name: str, payload: VariableList, response: HttpResponse
) -> Status[Changed]:
    """Make the variables exactly what is sent, in one revision. A secret without a value keeps the one there is."""
    problems = payload.strange()
    desired = [
        _desired_variable(each.key, each, f"items.{place}.", problems)
        for place, each in enumerate(payload.items)
    ]
    return _put(request, desired, problems, response, only=True, path="items.")


@router.get(
    ONE,
    auth=OnDeployment(Permission.VIEW),
    response=Variable,
    url_name="variable",
    operation_id="get_variable",
)
def read(request: DeploymentRequest, release_name: str, key: str) -> Variable:
    """One variable."""
    return _document(_row(request.deployment, key))


@router.put(
    ONE,
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response={200: Changed, 202: Changed},
    url_name="variable",
    operation_id="set_variable",
)
def update(
    request: DeploymentRequest, release_name: str, key: str, payload: VariableValue, response: HttpResponse
) -> Status[Changed]:
    """Add a variable, or change it. What is secret stays secret."""
    problems: dict[str, str] = {}
    desired = [_desired_variable(key, payload, "", problems)]
    return _put(request, desired, problems, response, only=False, path="")


def _put(
    request: DeploymentRequest,
    desired: list[DesiredVariable],
    problems: dict[str, str],
    response: HttpResponse,
    *,
    only: bool,
    path: str,
) -> Status[Changed]:
    deployment, before = request.deployment, request.deployment.generation
    if problems:
        raise InvalidInput(problems)
    tag, revision = variables_etag(deployment)
    require_match(request, tag)
    base = revision if "If-Match" in request.headers else None
    try:
        actions.put_variables(
            deployment=deployment, by=request.caller.user, variables=desired, only=only, base=base
        )
    except VariablesChanged:
        raise Stale from None
    except InvalidInput as error:
        named = {
            (f"{path}{name}" if path else name.partition(".")[2]): sentence
            for name, sentence in error.problems.items()
        }
        raise InvalidInput(named) from None
    return answers.changed(deployment, before, "change", response)


@router.delete(
    ONE,
    auth=OnDeployment(Permission.EDIT_DEPLOYMENT),
    response={200: Changed, 202: Changed},
    url_name="variable",
    operation_id="delete_variable",
)
def delete(
    request: DeploymentRequest, release_name: str, key: str, response: HttpResponse
) -> Status[Changed]:
    """Delete a variable."""
    deployment, before = request.deployment, request.deployment.generation
    _row(deployment, key)
    actions.delete_variables(deployment=deployment, by=request.caller.user, keys=[key], base=None)
    return answers.changed(deployment, before, "change", response)


def _row(deployment: Deployment, key: str) -> EnvironmentVariable:
    row = deployment.variables.filter(key=key).first()
    if row is None:
        raise Http404
    return row
