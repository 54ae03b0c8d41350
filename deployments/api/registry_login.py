"""The login of the registry from which a Deployment's own images are pulled. Its password goes in and never comes
out."""

from typing import Any

from django.db import transaction
from django.http import HttpResponse
from ninja import Router, Schema, Status

from console.kit.http_json import Input, Text, etag, form_data, require_match
from deployments.actions import images as actions
from deployments.api import answers
from deployments.api.access import DeploymentRequest, OnDeployment
from deployments.api.schemas import Changed
from deployments.forms.images import RegistryLoginForm
from deployments.models import Deployment
from workspaces.permissions import Permission

router = Router(tags=["Deploys"])
PATH = "/deployments/{slug:release_name}/registry-login"


class RegistryLogin(Schema):
    """As whom images at `host` are pulled; both are "" without a login."""

    host: str
    user: str


class RegistryLoginIn(Input):
    """The host name of a registry (`docker.io` for Docker Hub), and a login that may pull there."""

    host: Text
    user: Text
    password: Text


def _etag(row: Deployment) -> str:
    return etag("registry", str(row.pk), row.registry_host, row.registry_user, row.registry_mark)


@router.get(
    PATH,
    auth=OnDeployment(Permission.DEPLOY_CODE),
    response=RegistryLogin,
    url_name="registry_login",
    operation_id="get_registry_login",
)
def read(request: DeploymentRequest, release_name: str, response: HttpResponse) -> RegistryLogin:
    """The login without its password. Its ETag is for If-Match of PUT."""
    row = request.deployment
    response["ETag"] = _etag(row)
    return RegistryLogin(host=row.registry_host, user=row.registry_user)


@router.put(
    PATH,
    auth=OnDeployment(Permission.DEPLOY_CODE),
    response={200: Changed, 202: Changed},
    url_name="registry_login",
    operation_id="set_registry_login",
)
def replace(
    request: DeploymentRequest, release_name: str, payload: RegistryLoginIn, response: HttpResponse
) -> Status[Changed]:
    """Keep this login, in place of the one before; on Kubernetes. It is sent to that registry alone. 202 when the
    Deployment runs an image of its own, which is pulled with it from then on."""
    deployment, before = request.deployment, request.deployment.generation
    typed = form_data(payload, texts=("host", "user", "password"))
    data: Any = typed.data
    form = RegistryLoginForm(data)
    typed.refuse(form.errors)
    wish = {name: form.cleaned_data[name] for name in ("host", "user", "password")}
    with transaction.atomic():
        locked = Deployment.objects.select_for_update(of=("self",)).get(pk=deployment.pk)
        require_match(request, _etag(locked))
        actions.set_registry_login(deployment=deployment, by=request.caller.user, **wish)
    return _changed(deployment, before, response)


@router.delete(
    PATH,
    auth=OnDeployment(Permission.DEPLOY_CODE),
    response={200: Changed, 202: Changed},
    url_name="registry_login",
    operation_id="delete_registry_login",
)
def delete(request: DeploymentRequest, release_name: str, response: HttpResponse) -> Status[Changed]:
    """Remove the login with its password. What runs goes on; a node without the image can no longer pull it."""
    deployment, before = request.deployment, request.deployment.generation
    actions.remove_registry_login(deployment=deployment, by=request.caller.user)
    return _changed(deployment, before, response)


def _changed(deployment: Deployment, before: int, response: HttpResponse) -> Status[Changed]:
    status = answers.changed(deployment, before, "change", response)
    deployment.refresh_from_db()
    response["ETag"] = _etag(deployment)
    return status
