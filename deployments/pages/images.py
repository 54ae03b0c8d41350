"""The page of the image that a Deployment runs: another one, the runtime's own, and the login of the registry."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from console.kit.http import posted, see_other
from console.kit.refusals import InvalidInput
from deployments.access import deployment_view
from deployments.actions import images as actions
from deployments.actions.refusals import KeyReused, NoImagesHere, NothingToDeploy
from deployments.dataplane.contract import DataPlaneError
from deployments.forms.images import ImageForm, RegistryLoginForm, RuntimesImageForm
from deployments.models import Deploy, Deployment
from deployments.pages.common import REFUSALS, page_context
from deployments.presenters import commands
from deployments.presenters import images as shown
from deployments.queries import images as queries
from deployments.queries.deploys import desired_deploy
from deployments.queries.editable import why_not_editable
from workspaces.access import MemberRequest
from workspaces.permissions import Permission


def _not_now(deployment: Deployment) -> str:
    try:
        here = queries.takes_images(deployment)
    except DataPlaneError as error:
        return str(error)
    return why_not_editable(deployment) or ("" if here else NoImagesHere().sentence)


def _page(
    request: MemberRequest, deployment: Deployment, *, image: Form | None = None, login: Form | None = None
) -> HttpResponse:
    bound = [form for form in (image, login) if form is not None and form.is_bound]
    context: Mapping[str, Any] = {
        **page_context(request, deployment, "Deploys"),
        "deploys_url": deployment.url_for("deploys"),
        "crumb": f"Deploys of {deployment.name}",
        "not_now": _not_now(deployment),
        "form": image or ImageForm(None),
        "login": login or RegistryLoginForm(None, initial={"host": deployment.registry_host}),
        "back": RuntimesImageForm(None),
        "has_own": queries.has_own(deployment, desired_deploy(deployment)),
        "items": shown.now(deployment),
        "consequences": shown.consequences(deployment, None),
        "going_back": shown.consequences(deployment, ""),
        "removing": shown.REMOVING_LOGIN,
        "back_url": deployment.url_for("deploy_runtimes_image"),
        "login_url": deployment.url_for("registry_login"),
        "remove_url": deployment.url_for("registry_login_remove"),
        "here": deployment.url_for("deploy_image"),
        "command": commands.deploy_image(deployment.release_name),
    }
    return render(request, "deployments/images/image.html", context, status=422 if bound else 200)


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.DEPLOY_CODE, alive=True)
def deploy_image(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Which image it runs, and deploying another one."""
    form = ImageForm(posted(request))
    if form.is_bound and form.is_valid():
        wish = {name: form.cleaned_data[name] for name in ("image", "description", "idempotency_key")}
        try:
            made = _deployed(request, deployment, wish)
        except InvalidInput as refusal:
            form.refuse(refusal)
        except NothingToDeploy as refusal:
            messages.info(request, str(refusal))
            return see_other(deployment.url_for("deploy", refusal.number))
        except REFUSALS as refusal:
            form.add_error(None, str(refusal))
        else:
            return see_other(deployment.url_for("deploy", made.number))
    return _page(request, deployment, image=form)


def _deployed(request: MemberRequest, deployment: Deployment, wish: dict[str, Any]) -> Deploy:
    """Back in the browser and another image: a further deploy is meant, which no program would mean."""
    try:
        return actions.deploy_image(deployment=deployment, by=request.user, **wish)
    except KeyReused:
        wish["idempotency_key"] = uuid4()
        return actions.deploy_image(deployment=deployment, by=request.user, **wish)


@require_POST
@deployment_view(Permission.DEPLOY_CODE, alive=True)
def runtimes_image(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Go back to the image of the runtime."""
    form = RuntimesImageForm(posted(request))
    if not form.is_valid():
        return see_other(deployment.url_for("deploy_image"))
    try:
        made = actions.deploy_image(
            deployment=deployment,
            by=request.user,
            image="",
            description="Back to the image of the runtime.",
            idempotency_key=form.cleaned_data["idempotency_key"],
        )
    except REFUSALS as refusal:
        messages.error(request, str(refusal))
        return see_other(deployment.url_for("deploy_image"))
    return see_other(deployment.url_for("deploy", made.number))


@sensitive_post_parameters("password")
@require_POST
@deployment_view(Permission.DEPLOY_CODE, alive=True)
def registry_login(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Save the login of the registry."""
    form = RegistryLoginForm(posted(request))
    if not form.is_valid():
        return _page(request, deployment, login=form)
    wish = {name: form.cleaned_data[name] for name in ("host", "user", "password")}
    try:
        actions.set_registry_login(deployment=deployment, by=request.user, **wish)
    except InvalidInput as refusal:
        form.refuse(refusal)
        return _page(request, deployment, login=form)
    except REFUSALS as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "The login is saved. The next image is pulled with it.")
    return see_other(deployment.url_for("deploy_image"))


@require_POST
@deployment_view(Permission.DEPLOY_CODE, alive=True)
def registry_login_remove(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Forget the login of the registry."""
    try:
        actions.remove_registry_login(deployment=deployment, by=request.user)
    except REFUSALS as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "The login is removed.")
    return see_other(deployment.url_for("deploy_image"))
