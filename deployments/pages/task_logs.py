"""The logs of tasks that are kept: a list to find one in. `pages/logs.py` shows it."""

from functools import partial
from typing import Any

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from deployments.access import deployment_view
from deployments.dataplane.contract import TASK_LOGS, DataPlaneError, Driver, Ref, TaskLogs
from deployments.dataplane.task_log_files import LONGEST_PATH
from deployments.models import Deployment
from deployments.pages.common import asks_for_part, page_context
from deployments.pages.logs import kinds
from deployments.presenters import task_logs as presenter
from deployments.queries import live
from workspaces.access import MemberRequest
from workspaces.permissions import Permission

SHOWN = 200


class TaskLogForm(forms.Form):
    """The filter bar."""

    q = forms.CharField(
        label="DAG, run or task",
        required=False,
        max_length=LONGEST_PATH,  # Home sends the whole folder of a run
        widget=forms.TextInput(attrs={"type": "search"}),
    )


@require_GET
@deployment_view(Permission.VIEW, alive=True)
def task_log_list(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """The newest that match, asked now; as a fragment, the list alone."""
    form = TaskLogForm(request.GET)
    asked = form.cleaned_data["q"] if form.is_valid() else ""
    context: dict[str, Any] = {
        "d": deployment,
        "filters": form,
        "filtered": bool(asked),
        "here_url": request.get_full_path(),
        "clear_url": request.path,
    }
    try:
        found = live.ask(deployment, partial(_listed, text=asked))
    except DataPlaneError as error:
        context["problem"] = str(error)
    else:
        context |= {"rows": presenter.rows(deployment, found), "whole": found.whole}
    if asks_for_part(request):
        return render(request, "deployments/logs/_task_logs.html", context)
    context |= {**page_context(request, deployment, "Logs"), **kinds(deployment, of_tasks=True)}
    context["kept"] = deployment.plane_details.get(TASK_LOGS, "")
    return render(request, "deployments/logs/task_logs.html", context)


def _listed(driver: Driver, ref: Ref, *, text: str) -> TaskLogs:
    return driver.task_logs(ref, text=text, most=SHOWN)
