"""The edit form: show what would change, then change it."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.kit.http import posted, see_other
from console.kit.refusals import ActionRefused
from deployments import actions
from deployments.access import deployment_view
from deployments.actions.settings import settings_of
from deployments.clusters.options import options_for
from deployments.domain.field_values import FieldValues
from deployments.forms import review, sections
from deployments.forms.settings import EditForm
from deployments.models import Deployment, WorkerQueue
from deployments.pages.common import not_editable, page_context
from deployments.pages.menu import wake_setting
from deployments.pages.review import NOTHING_CHANGED, SAVED, review_page
from deployments.presenters import commands
from deployments.presenters.impact import impact, queues_of
from deployments.queries.editable import why_not_editable
from deployments.queries.releases import release_of
from workspaces.access import MemberRequest
from workspaces.permissions import Permission


def _form_page(request: MemberRequest, deployment: Deployment, form: EditForm, **more: Any) -> HttpResponse:
    now = settings_of(deployment, queues_of(deployment))
    context = {
        **page_context(request, deployment, "Settings"),
        "form": form,
        "sections": sections.sections(form, review.SECTIONS),
        "summary": sections.summary_of(form),
        "command": commands.update_line(deployment.release_name, sections.as_typed(form), now),
        "preview_url": deployment.url_for("edit_summary"),
        "queues_url": deployment.url_for("queues"),
        "cancel_url": deployment.url,
        **more,
    }
    status = 409 if "differences" in more else 422 if form.errors else 200
    return render(request, "deployments/settings/edit.html", context, status=status)


def _difference_page(
    request: MemberRequest, deployment: Deployment, form: EditForm, now: FieldValues
) -> HttpResponse:
    """Another person saved first: what was, what they saved, and what this reader wants."""
    differences = review.differences(form, now)
    form.merge(now)
    deployment.refresh_from_db()
    return _form_page(request, deployment, form, differences=differences)


def _form(
    request: MemberRequest, deployment: Deployment, queues: list[WorkerQueue], settings: FieldValues
) -> EditForm:
    return EditForm(
        posted(request),
        options=options_for(deployment.cluster),
        deployment=deployment,
        settings=settings,
        queues=queues,
    )


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def edit(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The form with current values; then what it would change; then the change."""
    if why := why_not_editable(deployment):
        return not_editable(request, deployment, "Settings", why)
    queues = queues_of(deployment)
    now = settings_of(deployment, queues)
    form = _form(request, deployment, queues, now)
    if not form.is_bound or not form.is_valid():
        return _form_page(request, deployment, form)
    if form.going_back:
        form.for_editing()
        return _form_page(request, deployment, form)
    if form.shown != now:
        return _difference_page(request, deployment, form, now)
    old = release_of(deployment, queues)
    new = review.edited_release(old, form.desired, form.options.worker_types)
    if old.digest != new.digest and not form.is_reviewed:
        effect = impact(deployment, queues, new)
        return review_page(request, deployment, "Settings", form, effect)
    return _save(request, deployment, form)


def _save(request: MemberRequest, deployment: Deployment, form: EditForm) -> HttpResponse:
    try:
        changed = actions.edit_deployment(
            deployment=deployment, by=request.user, shown=form.shown, desired=form.desired
        )
    except actions.EditConflict as other:
        return _difference_page(request, deployment, form, other.now)
    except actions.NotNow as refusal:
        return not_editable(request, deployment, "Settings", refusal.sentence)
    except ActionRefused as refusal:
        form.for_editing()
        form.refuse(refusal)
        return _form_page(request, deployment, form)
    if changed:
        messages.success(request, SAVED)
    else:
        messages.info(request, NOTHING_CHANGED)
    return see_other(deployment.url)


@require_POST
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def edit_summary(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The figures beside the edit form, for what is typed so far. Saves nothing."""
    queues = queues_of(deployment)
    now = settings_of(deployment, queues)
    form = _form(request, deployment, queues, now)
    context = {
        "summary": sections.summary_of(form),
        "command": commands.update_line(deployment.release_name, sections.as_typed(form), now),
    }
    return render(request, "deployments/sections/_previewed.html", context)


@require_GET
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def settings(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """What is done to a Deployment as a whole."""
    context = page_context(request, deployment, "Settings")
    items = context["whole_menu"]
    context |= {
        "lifecycle": [*(each for each in items if not each.is_token), wake_setting(deployment)]
        if items
        else [],
        "tokens": [each for each in items if each.is_token],
        "delete_url": deployment.url_for("delete"),
        "can_delete": request.can(Permission.DELETE_DEPLOYMENT) and not deployment.is_deleting,
    }
    return render(request, "deployments/settings/settings.html", context)
