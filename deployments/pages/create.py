"""The page with the create form."""

from collections.abc import Sequence

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST

from console.kit.http import posted, see_other
from console.kit.refusals import ActionRefused
from deployments import actions
from deployments.forms import sections
from deployments.forms.create import CreateForm, NameForm
from deployments.presenters import commands
from deployments.queries import listing
from workspaces.access import MemberRequest, workspace_view
from workspaces.permissions import Permission

# Choosing another cluster brings what it offers. A sync of its own: the form's would cancel it for the summary.
SWITCHES = {
    "hx-trigger": "change",
    "hx-target": "#options",
    "hx-select": "#options",
    "hx-select-oob": "#summary",
    "hx-swap": "outerHTML",
    "hx-sync": "this:replace",
    # What is typed in the meantime would be lost. The cluster's own part stays, and keeps the focus.
    "hx-disabled-elt": "#options fieldset:not([data-section=where])",
}


@require_http_methods(["GET", "POST"])
@workspace_view(Permission.CREATE_DEPLOYMENT)
def new_deployment(request: MemberRequest) -> HttpResponse:
    """The create form."""
    form = sections.form_for(request.workspace, posted(request))
    if form is None:
        return render(request, "deployments/create/no_cluster.html", {})
    if form.is_bound and form.is_valid():
        try:
            deployment = actions.create_deployment(
                workspace=request.workspace,
                by=request.user,
                idempotency_key=form.cleaned_data["idempotency_key"],
                choices=form.choices(),
            )
        except actions.WorkspaceGone:
            raise
        except ActionRefused as refusal:
            form.refuse(refusal)
        else:
            return see_other(deployment.url)
    return _new_page(request, form, status=422 if form.is_bound else 200)


@require_POST
@workspace_view(Permission.CREATE_DEPLOYMENT)
def new_options(request: MemberRequest) -> HttpResponse:
    """The create form as typed so far, with what the chosen cluster offers. Creates nothing."""
    form, message = sections.switched(request.workspace, request.POST)
    if form is None:
        return render(request, "deployments/create/no_cluster.html", {})
    return _new_page(request, form, message)


def _new_page(
    request: MemberRequest, form: CreateForm, message: Sequence[str] = (), status: int = 200
) -> HttpResponse:
    options_url = request.workspace.url_for("deployments:new_options")
    form.fields["name"].widget.attrs.update(_checked(request))
    several = len(form.fields["cluster"].choices) > 1  # type: ignore[attr-defined]
    if several:
        form.fields["cluster"].widget.attrs.update(SWITCHES, **{"hx-post": options_url})
    context = {
        "form": form,
        "sections": sections.sections(form),
        "summary": sections.summary_of(form),
        "command": commands.create_line(sections.as_typed(form), sections.offered(form)),
        "message": message,
        "several": several,
        "preview_url": request.workspace.url_for("deployments:summary"),
        "options_url": options_url,
        "new_url": request.workspace.url_for("deployments:new"),
        "cancel_url": request.workspace.url,
    }
    return render(request, "deployments/create/new.html", context, status=status)


@require_POST
@workspace_view(Permission.CREATE_DEPLOYMENT)
def check_name(request: MemberRequest) -> HttpResponse:
    """The field Name with what is wrong with it, for when it is left. Saves nothing."""
    form = NameForm(request.POST)
    if form.is_valid() and listing.name_taken(request.workspace, form.cleaned_data["name"]):
        form.refuse(actions.NameTaken())
    name = form["name"]
    name.field.widget.attrs.update(_checked(request))
    return render(request, "ui/field.html", {"field": name})


def _checked(request: MemberRequest) -> dict[str, str]:
    """What makes a name field ask when it is left. A sync of its own: the form's would cancel it for the summary."""
    return {
        "hx-post": request.workspace.url_for("deployments:check_name"),
        "hx-trigger": "change",
        "hx-target": "[data-field=name]",
        "hx-select": "[data-field=name] > *",
        "hx-sync": "this:replace",
    }


@require_POST
@workspace_view(Permission.CREATE_DEPLOYMENT)
def summary(request: MemberRequest) -> HttpResponse:
    """The figures beside the create form, for what is typed so far. Saves nothing."""
    form = sections.form_for(request.workspace, request.POST)
    context = {
        "summary": sections.summary_of(form) if form else [],
        "command": commands.create_line(sections.as_typed(form), sections.offered(form)) if form else "",
    }
    return render(request, "deployments/sections/_previewed.html", context)
