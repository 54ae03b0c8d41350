"""Worker queues: what they are and do now; adding, editing and deleting them."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods

from console.kit.http import posted, see_other
from console.kit.refusals import ActionRefused, InvalidInput
from console.kit.wording import counted
from deployments import actions
from deployments.access import deployment_view
from deployments.actions.queues import DEFAULT_STAYS
from deployments.actions.settings import queue_settings
from deployments.clusters.options import options_for
from deployments.domain.field_values import FieldValues
from deployments.domain.spec import DEFAULT_QUEUE, QueueSpec, desired_workers
from deployments.domain.states import Executor
from deployments.forms import review
from deployments.forms.confirm import ConfirmNameForm
from deployments.forms.settings import QueueForm
from deployments.models import Deployment, WorkerQueue
from deployments.pages.common import not_editable, page_context
from deployments.pages.review import NOTHING_CHANGED, SAVED, review_page
from deployments.presenters.impact import impact, queues_of
from deployments.queries.editable import NEEDS_CELERY, why_no_queues, why_not_editable
from deployments.queries.releases import queue_spec, release_of
from workspaces.access import MemberRequest
from workspaces.permissions import Permission

TAB = "Worker queues"


@dataclass(frozen=True)
class Row:
    """One queue of the table."""

    queue: WorkerQueue
    formula: str
    edit_url: str
    delete_url: str


def formula(queue: QueueSpec, *, queued: int, running: int, desired: int) -> str:
    """How the number of workers comes about, spelled out: "19 tasks, 16 per worker: 2 workers needed"."""
    need = desired_workers(queue, queued, running)
    tasks = running + queued
    message = f"{counted(tasks, 'task')}, {queue.concurrency} per worker: {_workers(need)} needed"
    bare = -(-tasks // queue.concurrency)
    if bare != need:
        message += f" ({'minimum' if bare < need else 'maximum'} {need})"
    return f"{message}; {desired} until 5 minutes have passed" if desired > need else message


def _workers(count: int) -> str:
    return counted(count, "worker")


def _table(request: MemberRequest, deployment: Deployment) -> dict[str, Any]:
    """The part of the page that moves. One query."""
    rows = [
        Row(
            queue,
            formula(
                queue_spec(queue), queued=queue.queued, running=queue.running, desired=queue.desired_workers
            ),
            deployment.url_for("queue_edit", queue.name),
            deployment.url_for("queue_delete", queue.name) if queue.name != DEFAULT_QUEUE else "",
        )
        for queue in queues_of(deployment)
    ]
    can_edit = request.can(Permission.EDIT_DEPLOYMENT) and not why_not_editable(deployment)
    return {"d": deployment, "rows": rows, "can_edit": can_edit, "default_stays": DEFAULT_STAYS}


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def queues(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Every worker queue with what it does now."""
    context = {
        **page_context(request, deployment, TAB),
        **_table(request, deployment),
        "celery": deployment.executor == Executor.CELERY,
        "needs_celery": NEEDS_CELERY,
        "new_url": deployment.url_for("queue_new"),
        "edit_url": deployment.url_for("edit"),
        "live_queues_url": deployment.url_for("queues_live"),
    }
    return render(request, "deployments/queues/queues.html", context)


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def queues_live(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The table alone, as it is now."""
    return render(request, "deployments/queues/_queues.html", _table(request, deployment))


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def queue_new(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """One more worker queue."""
    if why := why_no_queues(deployment):
        return not_editable(request, deployment, TAB, why)
    options = options_for(deployment.cluster)
    about = f"{deployment.pk}.new"
    form = QueueForm(posted(request), options=options, settings={}, about=about, adding=True)
    if not form.is_bound or not form.is_valid() or form.going_back:
        return _form_page(request, deployment, form)
    found = queues_of(deployment)
    name = form.cleaned_data["name"]
    if any(queue.name == name for queue in found):
        form.refuse(actions.QueueExists(name))
        return _form_page(request, deployment, form)
    if not form.is_reviewed:
        spec = review.queue_after(name, form.desired, options.worker_types)
        return _review(request, deployment, form, found, spec)
    try:
        actions.add_queue(deployment=deployment, by=request.user, name=name, desired=form.desired)
    except actions.NotNow as refusal:
        return not_editable(request, deployment, TAB, refusal.sentence)
    except ActionRefused as refusal:
        form.for_editing()
        form.refuse(refusal)
        return _form_page(request, deployment, form)
    messages.success(request, f"Queue {name} is added.")
    return see_other(deployment.url_for("queues"))


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def queue_edit(request: MemberRequest, deployment: Deployment, queue: str) -> HttpResponse:
    """Type, bounds and concurrency of one worker queue; its name stays."""
    if why := why_no_queues(deployment):
        return not_editable(request, deployment, TAB, why)
    found = queues_of(deployment)
    now = queue_settings(_one(found, queue))
    options = options_for(deployment.cluster)
    form = QueueForm(posted(request), options=options, settings=now, about=f"{deployment.pk}.{queue}")
    if not form.is_bound or not form.is_valid() or form.going_back:
        return _form_page(request, deployment, form, name=queue)
    if form.shown != now:
        return _difference(request, deployment, form, queue, now)
    if form.desired != now and not form.is_reviewed:
        spec = review.queue_after(queue, form.desired, options.worker_types)
        return _review(request, deployment, form, found, spec)
    return _save(request, deployment, form, queue)


def _save(request: MemberRequest, deployment: Deployment, form: QueueForm, queue: str) -> HttpResponse:
    try:
        changed = actions.edit_queue(
            deployment=deployment, by=request.user, name=queue, shown=form.shown, desired=form.desired
        )
    except actions.EditConflict as other:
        return _difference(request, deployment, form, queue, other.now)
    except actions.NotNow as refusal:
        return not_editable(request, deployment, TAB, refusal.sentence)
    except InvalidInput as refusal:
        form.for_editing()
        form.refuse(refusal)
        return _form_page(request, deployment, form, name=queue)
    if changed:
        messages.success(request, SAVED)
    else:
        messages.info(request, NOTHING_CHANGED)
    return see_other(deployment.url_for("queues"))


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def queue_delete(request: MemberRequest, deployment: Deployment, queue: str) -> HttpResponse:
    """Say what goes, ask for the name, then drop the queue."""
    why = why_no_queues(deployment) or (DEFAULT_STAYS if queue == DEFAULT_QUEUE else "")
    if why:
        return not_editable(request, deployment, TAB, why)
    found = queues_of(deployment)
    _one(found, queue)
    form = ConfirmNameForm(posted(request), name=queue)
    if form.is_bound and form.is_valid():
        try:
            actions.delete_queue(deployment=deployment, by=request.user, name=queue)
        except actions.NotNow as refusal:
            return not_editable(request, deployment, TAB, refusal.sentence)
        messages.success(request, f"Queue {queue} is deleted.")
        return see_other(deployment.url_for("queues"))
    new = review.without_queue(release_of(deployment, found), queue)
    context = {
        **page_context(request, deployment, TAB),
        "form": form,
        "name": queue,
        "impact": impact(deployment, found, new),
        "cancel_url": deployment.url_for("queues"),
    }
    return render(
        request, "deployments/queues/queue_delete.html", context, status=422 if form.is_bound else 200
    )


def _one(found: list[WorkerQueue], name: str) -> WorkerQueue:
    for queue in found:
        if queue.name == name:
            return queue
    raise Http404


def _form_page(
    request: MemberRequest, deployment: Deployment, form: QueueForm, *, name: str = "", **more: Any
) -> HttpResponse:
    if form.is_bound and not form.errors and "differences" not in more:
        form.for_editing()
    context = {
        **page_context(request, deployment, TAB),
        "form": form,
        "name": name,
        "cancel_url": deployment.url_for("queues"),
        **more,
    }
    status = 409 if "differences" in more else 422 if form.errors else 200
    return render(request, "deployments/queues/queue.html", context, status=status)


def _difference(
    request: MemberRequest, deployment: Deployment, form: QueueForm, name: str, now: FieldValues
) -> HttpResponse:
    differences = review.differences(form, now)
    form.merge(now)
    deployment.refresh_from_db()
    return _form_page(request, deployment, form, name=name, differences=differences)


def _review(
    request: MemberRequest, deployment: Deployment, form: QueueForm, found: list[WorkerQueue], spec: QueueSpec
) -> HttpResponse:
    new = review.with_queue(release_of(deployment, found), spec)
    effect = impact(deployment, found, new)
    cancel = {"cancel_url": deployment.url_for("queues"), "queue_name": spec.name}
    return review_page(request, deployment, TAB, form, effect, **cancel)
