"""Pages of environment variables. No response holds the value of a secret."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.http import content_disposition_header
from django.utils.text import Truncator
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from console.kit.http import posted, see_other
from console.kit.refusals import ActionRefused
from console.kit.templatetags.ui import without_password
from deployments.access import deployment_view
from deployments.actions import NotNow
from deployments.actions.refusals import RevisionGone, VariablesChanged
from deployments.actions.variables import (
    apply_dotenv,
    delete_variables,
    latest_revision,
    reapply_revision,
    revision_difference,
    set_variable,
)
from deployments.domain import dotenv
from deployments.domain.proxies import uses_proxy
from deployments.domain.reserved_variables import reserved
from deployments.domain.variables import VariableDifference, difference, merged
from deployments.forms.variables import (
    BaseRevisionForm,
    EditVariableForm,
    ImportForm,
    VariableFilterForm,
    VariableForm,
    add_again,
    typed_over,
)
from deployments.models import Deployment, EnvironmentVariable, VariableRevision
from deployments.pages.common import page_context
from deployments.presenters import commands, impact
from deployments.queries.editable import why_not_editable
from deployments.queries.releases import release_of
from deployments.secrets import import_drafts, vault
from workspaces.access import MemberRequest
from workspaces.permissions import Permission

SHOWN_REFUSALS = 100
PAGE_SIZE = 50
_MOVED_DELETE = "The variables changed after this page was shown. Below is what would be deleted now."
_MOVED = "The variables changed after this page was shown. Below is the difference to what there is now."


def _impact(deployment: Deployment) -> impact.Impact:
    """What any change of a variable does to what runs; shown before anybody saves. Two queries."""
    queues = impact.queues_of(deployment)
    now = release_of(deployment, queues)
    return impact.impact(deployment, queues, replace(now, environment={**now.environment, "": ""}))


def _context(request: MemberRequest, deployment: Deployment, **more: Any) -> dict[str, Any]:
    return {
        **page_context(request, deployment, "Variables"),
        "variables_url": deployment.url_for("variables"),
        "crumb": f"Variables of {deployment.name}",
        **more,
    }


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def variable_list(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Every variable, and the revisions."""
    not_now = why_not_editable(deployment)
    form = VariableFilterForm(request.GET)
    keys = list(deployment.variables.values_list("key", flat=True))
    found = form.narrow(deployment.variables.select_related("updated_by").defer("sealed", "secret_digest"))
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    context = _context(
        request,
        deployment,
        rows=page.object_list,
        page=page,
        total=len(keys),
        filters=form,
        unused=[reserved(key) for key in keys if reserved(key)],  # stored before the name was refused
        revisions=[
            _revision(each) for each in deployment.variable_revisions.select_related("by").defer("sealed")
        ],
        not_now=not_now,
        behind_proxy=uses_proxy(keys),
        can_edit=request.can(Permission.EDIT_DEPLOYMENT) and not not_now,
    )
    return render(request, "deployments/variables/variables.html", context)


def _revision(revision: VariableRevision) -> dict[str, Any]:
    reported = [(word.capitalize(), ", ".join(keys)) for word, keys in revision.changes.items() if keys]
    return {"number": revision.number, "at": revision.at, "by": revision.by, "reported": reported}


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def variables_download(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The variables as a `.env`, without the values of secrets."""
    rows = deployment.variables.defer("sealed", "secret_digest")
    text = dotenv.write({row.key: None if row.is_secret else row.value for row in rows})
    response = HttpResponse(text, content_type="text/plain; charset=utf-8")
    filename = f"{deployment.release_name}.env"
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=filename) or ""
    return response


@sensitive_post_parameters("value")
@require_http_methods(["GET", "POST"])
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def variable_new(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Add one variable."""
    return _set(request, deployment, VariableForm(posted(request)), None)


@sensitive_post_parameters("value")
@require_http_methods(["GET", "POST"])
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def variable_edit(request: MemberRequest, deployment: Deployment, key: str) -> HttpResponse:
    """Edit one variable, or replace its secret."""
    row = deployment.variables.select_related("updated_by").filter(key=key).first()
    if row is not None:
        return _set(request, deployment, EditVariableForm(posted(request), row=row), row)
    if request.method == "GET":
        raise Http404
    return _gone(request, deployment, key)


def _gone(request: MemberRequest, deployment: Deployment, key: str) -> HttpResponse:
    """A person deleted it while its page was filled in: what was typed stands in the form that adds it."""
    action = deployment.url_for("variable_new")
    form = add_again(key, request.POST)
    context = _context(request, deployment, form=form, row=None, action=action, impact=_impact(deployment))
    return render(request, "deployments/variables/variable.html", context, status=422)


def _set(
    request: MemberRequest, deployment: Deployment, form: VariableForm, row: EnvironmentVariable | None
) -> HttpResponse:
    if form.is_bound and form.is_valid():
        key = row.key if row else form.cleaned_data["key"]
        try:
            revision = set_variable(
                deployment=deployment,
                by=request.user,
                key=key,
                value=form.typed(),
                secret=form.cleaned_data.get("secret", False),
                seen=form.cleaned_data.get("seen"),
            )
        except VariablesChanged:
            now = deployment.variables.select_related("updated_by").filter(key=key).first()
            if now is None:
                return _gone(request, deployment, key)
            row, form = now, typed_over(now, request.POST, _who_changed(now))
        except ActionRefused as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, f"{key} is saved." if revision else "Nothing changed.")
            return see_other(deployment.url_for("variables"))
    form.hide_secret()
    context = _context(request, deployment, form=form, row=row, impact=_impact(deployment))
    return render(
        request, "deployments/variables/variable.html", context, status=422 if form.is_bound else 200
    )


def _who_changed(row: EnvironmentVariable) -> str:
    who = row.updated_by.label if row.updated_by else "Someone"
    value = Truncator(" ".join(without_password(row.value).split())).chars(100)
    now = "Its value is secret" if row.is_secret else f"It is now “{value}”"
    return (
        f"{who} changed {row.key} after you opened this page. {now}. Save again to replace it with yours, or cancel to "
        "keep it."
    )


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def variables_delete(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Say what goes, then delete it; the keys stand in the address, then in the form."""
    keys = (request.POST if request.method == "POST" else request.GET).getlist("key")
    notice = ""
    if request.method == "POST" and keys:
        try:
            shown = BaseRevisionForm(request.POST).shown()
            made = delete_variables(deployment=deployment, by=request.user, keys=keys, base=shown)
        except VariablesChanged:
            notice = _MOVED_DELETE
        except NotNow as refusal:
            messages.error(request, refusal.sentence)
            return see_other(deployment.url_for("variables"))
        else:
            count = len(made.changes["removed"]) if made else 0
            message = "1 variable is deleted." if count == 1 else f"{count} variables are deleted."
            messages.success(request, message if made else "Nothing changed: they were deleted already.")
            return see_other(deployment.url_for("variables"))
    base = latest_revision(deployment)  # before the rows: a change in between is shown, never hidden
    found = list(deployment.variables.select_related("updated_by").filter(key__in=keys).defer("sealed"))
    if not found:
        messages.info(request, "Choose the variables to delete first.")
        return see_other(deployment.url_for("variables"))
    context = _context(request, deployment, rows=found, base=base, notice=notice, impact=_impact(deployment))
    status = 409 if notice else 200
    return render(request, "deployments/variables/variables_delete.html", context, status=status)


@sensitive_post_parameters("text")
@require_http_methods(["GET", "POST"])
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def variables_import(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Paste or upload a `.env`; what it would change is on the next page."""
    form = ImportForm(posted(request), request.FILES or None)
    if form.is_bound and form.is_valid():
        secret = form.cleaned_data["secret"]
        token = import_drafts.keep(deployment, request.user, form.parsed(), secret=secret)
        return see_other(deployment.url_for("variables_draft", token))
    form.hide_text()
    command = commands.load_variables(deployment.release_name)
    context = _context(request, deployment, form=form, command=command)
    return render(
        request, "deployments/variables/variables_import.html", context, status=422 if form.is_bound else 200
    )


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def variables_draft(request: MemberRequest, deployment: Deployment, token: UUID) -> HttpResponse:
    """What an import would change, and applying it."""
    draft = import_drafts.find(deployment, request.user, token)
    if draft is None:
        return render(
            request, "deployments/variables/variables_expired.html", _context(request, deployment), status=410
        )

    def compare() -> VariableDifference:
        current = vault.variables_of(deployment)
        desired, refused = merged(current, draft.parsed.entries, secret=draft.secret)
        return difference(current, desired, sorted([*draft.parsed.refusals, *refused], key=lambda r: r.line))

    def apply(base: int) -> VariableRevision | None:
        entries, secret = draft.parsed.entries, draft.secret
        made = apply_dotenv(deployment=deployment, by=request.user, entries=entries, secret=secret, base=base)
        import_drafts.forget(deployment, request.user)
        return made

    named = {entry.key for entry in draft.parsed.entries}  # of the unchanged, only these are worth a line
    return _difference(request, deployment, "Review import", compare, apply, named=named)


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.EDIT_DEPLOYMENT, alive=True)
def variables_revision(request: MemberRequest, deployment: Deployment, number: int) -> HttpResponse:
    """What applying a revision again would change, and applying it."""
    revision = get_object_or_404(deployment.variable_revisions, number=number)

    def compare() -> VariableDifference:
        return revision_difference(deployment, revision)

    def apply(base: int) -> VariableRevision | None:
        return reapply_revision(deployment=deployment, by=request.user, number=number, base=base)

    return _difference(request, deployment, f"Apply revision {number} again", compare, apply)


def _difference(
    request: MemberRequest,
    deployment: Deployment,
    heading: str,
    compare: Callable[[], VariableDifference],
    apply: Callable[[int], VariableRevision | None],
    *,
    named: set[str] | None = None,
) -> HttpResponse:
    """The page of a difference; on POST it is applied unless it is no longer the one that was shown."""
    notice, status = "", 200
    if request.method == "POST":
        try:
            made = apply(BaseRevisionForm(request.POST).shown())
        except VariablesChanged:
            notice, status = _MOVED, 409
        except RevisionGone:
            raise
        except ActionRefused as refusal:
            notice, status = refusal.sentence, 409
        else:
            message = f"Revision {made.number} is saved." if made else "Nothing changed."
            messages.success(request, message)
            return see_other(deployment.url_for("variables"))
    base = latest_revision(
        deployment
    )  # before what is compared: a change in between shows as one, never hides
    found = compare()
    context = _context(
        request,
        deployment,
        heading=heading,
        notice=notice,
        base=base,
        groups=[group for group in _groups(found) if group["changes"]],
        unchanged=[key for key in found.unchanged if named is None or key in named],
        refused=found.refused[:SHOWN_REFUSALS],
        more_refused=max(0, len(found.refused) - SHOWN_REFUSALS),
        count=len(found.added) + len(found.changed) + len(found.removed),
        problem=found.problem or why_not_editable(deployment),
        impact=_impact(deployment),
    )
    return render(request, "deployments/variables/variables_difference.html", context, status=status)


def _groups(found: VariableDifference) -> list[dict[str, Any]]:
    return [
        {"title": "Added", "icon": "plus", "tone": "ok", "changes": found.added},
        {"title": "Changed", "icon": "pencil", "tone": "busy", "changes": found.changed},
        {"title": "Removed", "icon": "trash-2", "tone": "bad", "changes": found.removed},
    ]
