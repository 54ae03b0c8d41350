"""Pages of Deployments: guard, load, act, render."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.kit.http import posted, see_other, this_url
from deployments import actions, creating, queries, running_words, vault
from deployments.access import deployment_view
from deployments.forms import CreateForm, DeleteForm, FilterForm
from deployments.fragments import live_context, step_context
from deployments.models import Deployment
from deployments.options import clusters_for
from deployments.presenters import consequences, facts, notes
from deployments.stalled import BUSY, attach
from deployments.states import Operation
from deployments.templatetags import states
from workspaces.access import MemberRequest, who_can, workspace_view
from workspaces.permissions import Permission

# Choosing another cluster brings what it offers. A sync of its own: the form's would cancel it for the summary.
SWITCHES = {
    "hx-trigger": "change",
    "hx-target": "#options",
    "hx-select": "#options",
    "hx-select-oob": "#summary",
    "hx-swap": "outerHTML",
    "hx-sync": "this:replace",
    # What is typed meanwhile would be lost. The cluster's own part stays, and keeps the focus.
    "hx-disabled-elt": "#options fieldset:not([data-section=where])",
}


def _stream_url(request: MemberRequest) -> str:
    query = QueryDict(mutable=True)
    query["since"] = timezone.now().isoformat()
    return f"{reverse('deployments:stream', args=[request.workspace.pk])}?{query.urlencode()}"


@require_GET
@workspace_view(Permission.VIEW)
def deployment_list(request: MemberRequest) -> HttpResponse:
    """The Workspace's Deployments; as a fragment, the rows alone."""
    form = FilterForm(request.GET, clusters=list(clusters_for(request.workspace)))
    chosen = form.values()
    listing = queries.listing(request.workspace, chosen, request.GET)
    can_create = request.can(Permission.CREATE_DEPLOYMENT)
    rows = list(listing.page.object_list)
    attach(rows)
    context = {
        "page": listing.page,
        "rows": rows,
        "filters": form,
        "counts": _count_links(request, listing.counts),
        "sorts": _sort_links(request, listing.sort),
        "empty": _empty(listing, chosen),
        "can_create": can_create,
        "create_url": reverse("deployments:new", args=[request.workspace.pk]),
        "who_can_create": [] if can_create else who_can(request.workspace, Permission.CREATE_DEPLOYMENT),
        "stream_url": _stream_url(request),
        "rows_url": request.get_full_path(),
    }
    template = "deployments/_rows.html" if request.htmx else "deployments/list.html"
    return render(request, template, context)


def _empty(listing: queries.Listing, chosen: dict[str, str]) -> str | None:
    if listing.page.paginator.count:
        return None
    return "filtered" if listing.total and chosen else "none"


def _count_links(request: MemberRequest, counts: dict[str, int]) -> list[dict[str, Any]]:
    current = request.GET.get("status", "")
    everything = {"status": "", "label": "All", "count": sum(counts.values())}
    rows = [
        {"status": s.value, "label": s.label, "count": counts.get(s.value, 0)} for s in queries.SHOWN_STATUSES
    ]
    shown = [everything, *(row for row in rows if row["count"] or row["status"] == current)]
    return [
        {
            **row,
            "url": this_url(request, status=str(row["status"]), page=""),
            "current": row["status"] == current,
        }
        for row in shown
    ]


def _sort_links(request: MemberRequest, sort: str) -> dict[str, dict[str, str]]:
    links = {}
    for key in queries.SORTS:
        ascending = sort == key or (key == "name" and not sort)
        aria = "ascending" if ascending else "descending" if sort == f"-{key}" else "none"
        links[key] = {"url": this_url(request, sort=f"-{key}" if ascending else key, page=""), "aria": aria}
    return links


@require_http_methods(["GET", "POST"])
@workspace_view(Permission.CREATE_DEPLOYMENT)
def new_deployment(request: MemberRequest) -> HttpResponse:
    """The create form."""
    form = creating.form_for(request.workspace, posted(request))
    if form is None:
        return render(request, "deployments/no_cluster.html", {})
    if form.is_bound and form.is_valid():
        try:
            deployment = actions.create_deployment(
                workspace=request.workspace,
                by=request.user,
                form_key=form.cleaned_data["form_key"],
                choices=form.choices(),
            )
        except actions.NameTaken:
            form.name_taken()
        except actions.WorkspaceGone:
            raise Http404 from None
        except actions.ClusterClosed:
            form.cluster_closed()
        else:
            return see_other(deployment.url)
    return _new_page(request, form, status=422 if form.is_bound else 200)


@require_POST
@workspace_view(Permission.CREATE_DEPLOYMENT)
def new_options(request: MemberRequest) -> HttpResponse:
    """The create form as typed so far, with what the chosen cluster offers. Creates nothing."""
    form, said = creating.switched(request.workspace, request.POST)
    if form is None:
        return render(request, "deployments/no_cluster.html", {})
    return _new_page(request, form, said)


def _new_page(
    request: MemberRequest, form: CreateForm, said: Sequence[str] = (), status: int = 200
) -> HttpResponse:
    here = [request.workspace.pk]
    options_url = reverse("deployments:new_options", args=here)
    several = len(form.fields["cluster"].choices) > 1  # type: ignore[attr-defined]
    if several:
        form.fields["cluster"].widget.attrs.update(SWITCHES, **{"hx-post": options_url})
    context = {
        "form": form,
        "sections": creating.sections(form),
        "summary": creating.summary_of(form),
        "said": said,
        "several": several,
        "preview_url": reverse("deployments:summary", args=here),
        "options_url": options_url,
        "new_url": reverse("deployments:new", args=here),
        "cancel_url": request.workspace.url,
    }
    return render(request, "deployments/new.html", context, status=status)


@require_POST
@workspace_view(Permission.CREATE_DEPLOYMENT)
def summary(request: MemberRequest) -> HttpResponse:
    """The figures beside the create form, for what is typed so far. Saves nothing."""
    form = creating.form_for(request.workspace, request.POST)
    lines = creating.summary_of(form) if form else []
    return render(request, "deployments/_summary.html", {"summary": lines})


@require_GET
@deployment_view(Permission.VIEW)
def detail(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The Deployment's page; once it is gone, the receipt of what was removed."""
    if deployment.deleted_at is not None:
        return _gone(request, deployment)
    context = {
        **page_context(request, deployment, "Overview"),
        **live_context(deployment),
        **_ways_out(request, deployment),
        "credential": _credential(request, deployment, revealed=None),
        "edit_url": _edit_url(request, deployment),
    }
    return render(request, "deployments/detail.html", context)


def _ways_out(request: MemberRequest, deployment: Deployment) -> dict[str, str | None]:
    """What somebody may do about a Deployment that is stalled. The page shows it as soon as it is."""
    busy = deployment.shown_status in BUSY
    retry = (
        busy and not deployment.failures and request.can(Permission.EDIT_DEPLOYMENT)
    )  # else it is offered anyway
    delete = busy and not deployment.is_deleting and request.can(Permission.DELETE_DEPLOYMENT)
    here = [deployment.release_name]
    return {
        "stalled_retry_url": reverse("deployments:retry", args=here) if retry else None,
        "stalled_delete_url": reverse("deployments:delete", args=here) if delete else None,
    }


def _gone(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    steps = [step_context(s) for s in deployment.steps.all() if s.operation == Operation.DELETE]
    receipt = [line for step in steps for line in step["receipt"]]
    context = {"d": deployment, "steps": steps, "receipt": receipt, "list_url": request.workspace.url}
    return render(request, "deployments/gone.html", context)


def page_context(request: MemberRequest, deployment: Deployment, tab: str) -> dict[str, Any]:
    """What the head of each page of a Deployment needs; `tab` is the current one."""
    attach([deployment])
    return {
        "d": deployment,
        "tabs": [{**each, "current": each["label"] == tab} for each in _tabs(request, deployment)],
        "list_url": request.workspace.url,
        "stream_url": _stream_url(request),
        "notes": notes(deployment),
        "facts": facts(deployment),
        "whole_menu": running_words.menu(request, deployment),
        "retry_url": reverse("deployments:retry", args=[deployment.release_name])
        if deployment.failures and request.can(Permission.EDIT_DEPLOYMENT)
        else None,
    }


def _tabs(request: MemberRequest, deployment: Deployment) -> list[dict[str, Any]]:
    """Overview · Worker queues · Variables · Logs · Activity · Settings, as far as there are any."""

    def tab(label: str, name: str, **more: Any) -> dict[str, Any]:
        return {"label": label, "url": reverse(f"deployments:{name}", args=[deployment.release_name]), **more}

    alive = deployment.deleted_at is None
    tabs = [tab("Overview", "detail")]
    if alive:
        tabs.append(tab("Worker queues", "queues"))
        tabs.append(tab("Variables", "variables", count=deployment.variables.count()))
        tabs.append(tab("Logs", "logs"))
    tabs.append(tab("Activity", "deployment_activity"))
    if alive and request.can(Permission.EDIT_DEPLOYMENT):
        tabs.append(tab("Settings", "settings"))
    return tabs


def _edit_url(request: MemberRequest, deployment: Deployment) -> str | None:
    """Where the settings are changed, for those who may, while that can be done."""
    settled = deployment.first_healthy_at is not None and not deployment.is_deleting
    if not settled or not request.can(Permission.EDIT_DEPLOYMENT):
        return None
    return reverse("deployments:edit", args=[deployment.release_name])


def _credential(
    request: MemberRequest, deployment: Deployment, *, revealed: str | None
) -> dict[str, Any] | None:
    if not request.can(Permission.REVEAL_CREDENTIAL) or deployment.is_deleting:
        return None
    return {
        "username": vault.ADMIN_USERNAME,
        "revealed": revealed,
        "reveal_url": reverse("deployments:credential", args=[deployment.release_name]),
    }


@require_GET
@deployment_view(Permission.VIEW)
def live(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The part of the page that moves, for a page that missed something."""
    if deployment.deleted_at is not None:
        response = HttpResponse(status=204)
        response["HX-Redirect"] = deployment.url
        return response
    return render(request, "deployments/_live.html", live_context(deployment))


@require_GET
@deployment_view(Permission.VIEW)
def badge(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The badge alone, for a page that missed something."""
    attach([deployment])
    return HttpResponse(states.status_badge(deployment))


@require_POST
@deployment_view(Permission.REVEAL_CREDENTIAL, alive=True)
def credential(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Show the Airflow login once, on the answer to this POST; audited."""
    _, password = actions.reveal_credential(deployment=deployment, by=request.user)
    context = {
        **page_context(request, deployment, "Overview"),
        **live_context(deployment),
        "credential": _credential(request, deployment, revealed=password),
        "edit_url": _edit_url(request, deployment),
    }
    return render(request, "deployments/detail.html", context)


@require_POST
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def retry(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Try the failing step again now."""
    actions.retry_now(deployment=deployment, by=request.user)
    messages.info(
        request, "Asked for another try. What has just failed may rest for a moment before it runs again."
    )
    return see_other(deployment.url)


@require_GET
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def settings(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """What is done to a Deployment as a whole."""
    context = {
        **page_context(request, deployment, "Settings"),
        "delete_url": reverse("deployments:delete", args=[deployment.release_name]),
        "can_delete": request.can(Permission.DELETE_DEPLOYMENT) and not deployment.is_deleting,
    }
    return render(request, "deployments/settings.html", context)


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.DELETE_DEPLOYMENT, alive=True)
def delete(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Ask for the name, say what goes, then ask for it to go."""
    form = DeleteForm(posted(request), deployment=deployment)
    if form.is_bound and form.is_valid():
        try:
            actions.delete_deployment(deployment=deployment, by=request.user)
        except actions.NotNow as why:
            messages.error(request, str(why))
        return see_other(deployment.url)
    context = {
        **page_context(request, deployment, "Settings"),
        "form": form,
        "consequences": consequences(deployment),
        "cancel_url": deployment.url,
    }
    return render(request, "deployments/delete.html", context, status=422 if form.is_bound else 200)
