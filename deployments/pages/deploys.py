"""Pages of deploys: the list, an upload and its difference, one deploy, going back."""

from typing import Any, BinaryIO, cast
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.kit.http import posted, see_other
from deployments.access import deployment_view
from deployments.actions import deploys as actions
from deployments.actions.refusals import CodeChanged, CodeNotTaken, NothingToDeploy, PackagesInCode
from deployments.dataplane.contract import DataPlaneError
from deployments.domain.deploy_states import DeployStatus
from deployments.forms.deploys import DeployForm, RollBackForm, UploadForm
from deployments.models import CodeUpload, Deploy, Deployment, GitSource
from deployments.pages.common import REFUSALS, asks_for_part, page_context, why_not_deployable
from deployments.presenters import commands
from deployments.presenters import deploys as shown
from deployments.presenters import packages as shown_packages
from deployments.queries import deploys as queries
from deployments.queries import images
from deployments.queries import packages as package_queries
from workspaces.access import MemberRequest
from workspaces.permissions import Permission

PAGE_SIZE = 25


def _takes_images(deployment: Deployment) -> bool:
    try:
        return images.takes_images(deployment)
    except DataPlaneError:
        return False


def _context(request: MemberRequest, deployment: Deployment, **more: Any) -> dict[str, Any]:
    return {
        **page_context(request, deployment, "Deploys"),
        "deploys_url": deployment.url_for("deploys"),
        "crumb": f"Deploys of {deployment.name}",
        "may_deploy": request.can(Permission.DEPLOY_CODE),
        **more,
    }


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def deploy_list(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Every deploy, newest first; as a fragment, the rows alone, or nothing while there is none."""
    page = Paginator(queries.history(deployment), PAGE_SIZE).get_page(request.GET.get("page"))
    rows = [shown.row(deploy, deployment) for deploy in page.object_list]
    context = {"page": page, "rows": rows, "rows_url": request.get_full_path(), "d": deployment}
    if asks_for_part(request):
        return (
            render(request, "deployments/deploys/_rows.html", context) if rows else HttpResponse(status=204)
        )
    context |= _context(
        request,
        deployment,
        not_now=why_not_deployable(deployment),
        example_url=deployment.url_for("deploy_example"),
        new_url=deployment.url_for("deploy_new"),
        git_url=deployment.url_for("git"),
        image_url=deployment.url_for("deploy_image") if _takes_images(deployment) else "",
        git=GitSource.objects.filter(deployment=deployment).first(),
    )
    return render(request, "deployments/deploys/list.html", context)


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.DEPLOY_CODE, alive=True)
def deploy_new(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Upload an archive; what it would change is on the next page."""
    form = UploadForm(posted(request), request.FILES or None)
    if form.is_bound and form.is_valid():
        file = form.file()
        try:
            upload = actions.receive_upload(
                deployment=deployment,
                by=request.user,
                stream=cast(BinaryIO, file),
                name=file.name or "",
                size=file.size or 0,
            )
        except (CodeNotTaken, PackagesInCode) as error:
            form.refused(str(error))
        except REFUSALS as error:
            form.add_error(None, str(error))
        else:
            return see_other(deployment.url_for("deploy_upload", upload.pk))
    command = commands.deploy(deployment.release_name)
    context = _context(
        request, deployment, form=form, not_now=why_not_deployable(deployment), command=command
    )
    context["folder"] = shown.folder()
    return render(request, "deployments/deploys/new.html", context, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.DEPLOY_CODE, alive=True)
def deploy_upload(request: MemberRequest, deployment: Deployment, key: UUID) -> HttpResponse:
    """What an upload would change, and deploying it. An upload is its author's own."""
    upload = queries.upload_for(deployment, request.user.pk, key)
    if upload is None:
        return render(request, "deployments/deploys/expired.html", _context(request, deployment), status=410)
    form = DeployForm(posted(request), initial={"seen": upload.base})
    error_text, status = "", 422 if form.is_bound else 200
    if form.is_bound and form.is_valid():
        wish = {name: form.cleaned_data[name] for name in ("seen", "description", "despite_syntax")}
        try:
            deploy = actions.deploy_upload(deployment=deployment, by=request.user, upload=upload, **wish)
        except NothingToDeploy as error:
            messages.info(request, str(error))
            return see_other(deployment.url_for("deploy", error.number))
        except CodeChanged as error:
            error_text, status = str(error), 409
            upload = actions.compare_again(deployment=deployment, upload=upload)
            form = DeployForm(None, initial={**wish, "seen": upload.base})
        except REFUSALS as error:
            error_text, status = str(error), 409
        else:
            return see_other(deployment.url_for("deploy", deploy.number))
    return _upload_page(request, deployment, upload, form, error_text, status)


def _upload_page(
    request: MemberRequest,
    deployment: Deployment,
    upload: CodeUpload,
    form: DeployForm,
    error_text: str,
    status: int,
) -> HttpResponse:
    change = queries.difference_of(upload)
    upcoming = package_queries.upcoming(deployment, upload.requirements)
    context = _context(
        request,
        deployment,
        upload=upload,
        form=form,
        error_text=error_text,
        change=change,
        groups=shown.groups(change),
        consequences=shown.consequences(deployment, upload, upcoming),
        packages=shown_packages.coming(upcoming),
        here=request.path,
        not_now=why_not_deployable(deployment),
    )
    return render(request, "deployments/deploys/upload.html", context, status=status)


@require_POST
@deployment_view(Permission.DEPLOY_CODE, alive=True)
def deploy_example(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Deploy the example to a Deployment without code."""
    try:
        deploy = actions.deploy_example(deployment=deployment, by=request.user)
    except REFUSALS as error:
        messages.error(request, str(error))
        return see_other(deployment.url_for("deploys"))
    return see_other(deployment.url_for("deploy", deploy.number))


def _deploy(deployment: Deployment, number: int) -> Deploy:
    rows = Deploy.objects.select_related("deployment", "manifest", "origin")
    return get_object_or_404(rows, deployment=deployment, number=number)


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def deploy(request: MemberRequest, deployment: Deployment, number: int) -> HttpResponse:
    """One deploy: how far it is, what it changed, its files."""
    found = _deploy(deployment, number)
    compared = queries.compared(found)
    files = compared.manifest.files if compared.manifest else ()
    row = shown.row(found, deployment)
    can_change = not found.is_under_way and not why_not_deployable(deployment)
    failed = found.state is DeployStatus.FAILED
    context = _context(
        request,
        deployment,
        **row,
        steps=shown.steps(found),
        before=compared.before,
        change=compared.change,
        groups=shown.groups(compared.change),
        packages=shown_packages.of_deploy(found, compared.before),
        files=files[: shown.FILES_SHOWN],
        more_files=max(0, len(files) - shown.FILES_SHOWN),
        back_url=deployment.url_for("deploy_back", number)
        if can_change and not row["current"] and not failed and found.is_kept
        else "",
        anyway_url=deployment.url_for("deploy_anyway", number)
        if can_change and failed and found.syntax_count and found.manifest
        else "",
        log_url=f"{deployment.url_for('logs')}?component=dag-processor",
    )
    return render(request, "deployments/deploys/detail.html", context)


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.DEPLOY_CODE, alive=True)
def deploy_back(request: MemberRequest, deployment: Deployment, number: int) -> HttpResponse:
    """What going back changes and what it does not, and going back."""
    found = _deploy(deployment, number)
    form = RollBackForm(posted(request))
    if form.is_bound and form.is_valid():
        wish = {name: form.cleaned_data[name] for name in ("idempotency_key", "description")}
        try:
            made = actions.roll_back(deployment=deployment, by=request.user, to=found, **wish)
        except REFUSALS as error:
            messages.error(request, str(error))
            return see_other(deployment.url_for("deploy", number))
        return see_other(deployment.url_for("deploy", made.number))
    change = queries.difference_to(deployment, found)
    upcoming = package_queries.upcoming(deployment, found.requirements)
    context = _context(
        request,
        deployment,
        form=form,
        deploy=found,
        change=change,
        groups=shown.groups(change),
        consequences=shown.going_back(deployment, found, upcoming),
        same=not (change and change.count) and found.image_pinned == deployment.image,
        packages=shown_packages.coming(upcoming),
        not_now=why_not_deployable(deployment),
    )
    return render(request, "deployments/deploys/back.html", context, status=422 if form.is_bound else 200)


@require_POST
@deployment_view(Permission.DEPLOY_CODE, alive=True)
def deploy_anyway(request: MemberRequest, deployment: Deployment, number: int) -> HttpResponse:
    """Deploy what was refused because files do not compile."""
    try:
        made = actions.deploy_anyway(
            deployment=deployment, by=request.user, failed=_deploy(deployment, number)
        )
    except REFUSALS as error:
        messages.error(request, str(error))
        return see_other(deployment.url_for("deploy", number))
    return see_other(deployment.url_for("deploy", made.number))
