"""Pages of what happened: of a Workspace, and of one Deployment."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from console.kit.csv_file import csv_response
from deployments.access import deployment_view
from deployments.models import Deployment
from deployments.pages.common import page_context
from deployments.queries import activity
from deployments.queries.activity import PAGE_SIZE, SYSTEM, ActivityEntry, ActivityFilters
from workspaces.access import MemberRequest, workspace_view
from workspaces.permissions import Permission

KINDS = [
    ("", "Everything"),
    ("deployment", "Deployments"),
    ("member", "Members"),
    ("invitation", "Invitations"),
    ("token", "API tokens"),
    ("alert rule", "Alert rules"),
    ("alert channel", "Alert channels"),
    ("workspace", "The Workspace"),
]


class ActivityForm(forms.Form):
    """The filter bar. A value that is not valid filters nothing."""

    q = forms.CharField(
        label="Name", required=False, max_length=64, widget=forms.TextInput(attrs={"type": "search"})
    )
    person = forms.ChoiceField(label="Person", required=False)
    kind = forms.ChoiceField(label="About", required=False, choices=KINDS)
    since = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label="To", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, data: Any, *, people: list[tuple[str, str]], one: bool) -> None:
        super().__init__(data)
        self.fields["person"].choices = [("", "Anyone"), *people, (SYSTEM, "Airdeck itself")]  # type: ignore[attr-defined]
        if one:  # about one Deployment: everything is about it
            del self.fields["kind"], self.fields["q"]

    def filters(self) -> ActivityFilters:
        """What is asked for, days in the reader's time zone and to their end."""
        self.is_valid()
        given = {name: value for name, value in self.cleaned_data.items() if value}
        until = given.get("until")
        return ActivityFilters(
            person=given.get("person"),
            kind=given.get("kind"),
            text=given.get("q"),
            since=_midnight(given.get("since")),
            until=_midnight(until + timedelta(days=1)) if until and until < date.max else None,
        )


def _midnight(day: date | None) -> datetime | None:
    return timezone.make_aware(datetime.combine(day, time.min)) if day else None


@require_GET
@workspace_view(Permission.VIEW)
def workspace_activity(request: MemberRequest) -> HttpResponse:
    """What happened in the Workspace."""
    csv_url = request.workspace.url_for("deployments:activity_csv")
    return _page(request, None, {"csv_url": csv_url}, "deployments/activity/activity.html")


@require_GET
@deployment_view(Permission.VIEW)
def deployment_activity(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """What happened to one Deployment, also after it is gone."""
    csv_url = deployment.url_for("deployment_activity_csv")
    context = {**page_context(request, deployment, "Activity"), "csv_url": csv_url}
    return _page(request, deployment, context, "deployments/activity/deployment_activity.html")


def _page(
    request: MemberRequest, deployment: Deployment | None, context: dict[str, Any], template: str
) -> HttpResponse:
    form = _form(request, deployment)
    number = _number(request.GET.get("page", ""))
    found = activity.entries(
        request.workspace, deployment, form.filters(), skip=(number - 1) * PAGE_SIZE, most=PAGE_SIZE + 1
    )
    query = request.GET.copy()
    query.pop("page", None)
    context |= {
        "filters": form,
        "entries": activity.folded(found[:PAGE_SIZE]),
        "number": number,
        "has_older": len(found) > PAGE_SIZE and number < activity.LAST_PAGE,
        "filtered": bool(query),
        "csv_query": query.urlencode(),
    }
    return render(request, template, context)


def _form(request: MemberRequest, deployment: Deployment | None) -> ActivityForm:
    people = activity.people(request.workspace, deployment)
    return ActivityForm(request.GET, people=people, one=deployment is not None)


def _number(text: str) -> int:
    return min(max(int(text), 1), activity.LAST_PAGE) if text.isdecimal() and len(text) < 6 else 1


@require_GET
@workspace_view(Permission.VIEW)
def workspace_activity_csv(request: MemberRequest) -> HttpResponse:
    """The same as a file, filters included."""
    return _csv(request, None)


@require_GET
@deployment_view(Permission.VIEW)
def deployment_activity_csv(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The same of one Deployment."""
    return _csv(request, deployment)


def _csv(request: MemberRequest, deployment: Deployment | None) -> HttpResponse:
    filters = _form(request, deployment).filters()
    found = activity.entries(request.workspace, deployment, filters, most=activity.CSV_ROWS)
    header = ("Time (UTC)", "Who", "What happened", "Details", "Kind", "Object", "Object id", "Account id")
    return csv_response("activity", header, (_cells(entry) for entry in found))


def _cells(entry: ActivityEntry) -> tuple[object, ...]:
    details = "; ".join(entry.details)
    return entry.at, entry.actor, entry.sentence, details, entry.kind, entry.label, entry.key, entry.actor_id
