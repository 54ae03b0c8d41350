"""The page that shows what would change before it is saved."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from deployments.forms import review
from deployments.forms.settings import ReviewedForm
from deployments.models import Deployment
from deployments.pages.common import page_context
from deployments.presenters.impact import Impact
from workspaces.access import MemberRequest

SAVED = "Your changes are saved."

NOTHING_CHANGED = "No changes to save."


def review_page(
    request: MemberRequest,
    deployment: Deployment,
    tab: str,
    form: ReviewedForm,
    impact: Impact,
    **more: Any,
) -> HttpResponse:
    """What would change and what it does to running work; the form is hidden in it."""
    changed = review.changes(form)
    form.for_review()
    context = {
        **page_context(request, deployment, tab),
        "form": form,
        "changes": changed,
        "impact": impact,
        "cancel_url": deployment.url,
        **more,
    }
    return render(request, "deployments/review/review.html", context)
