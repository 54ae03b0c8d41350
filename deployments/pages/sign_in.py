"""Open Airflow: the browser begins at Airflow, comes here with what Airflow remembers it by, and goes back with an
assertion. It is posted, so that it stands in no address and no log."""

import re
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.kit.http import see_other
from deployments.access import deployment_view
from deployments.actions import sign_in
from deployments.forms.sign_in import TokenForm
from deployments.models import Deployment
from deployments.pages.common import page_context
from workspaces.access import MemberRequest
from workspaces.permissions import Permission

STATE = re.compile(r"[0-9a-f]{64}")


@require_http_methods(["GET", "POST"])
@deployment_view(Permission.OPEN_AIRFLOW, alive=True)
def open_airflow(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """A GET leads to Airflow, and on the way back to a form that posts itself; the POST answers with the assertion, in
    a form that posts itself to Airflow."""
    given = request.POST if request.method == "POST" else request.GET
    state, to = given.get("state", ""), given.get("next", "/")
    if not deployment.airflow_url:
        return see_other(f"{deployment.url_for('opening')}?{urlencode({'to': to})}")
    if not deployment.signs_in:
        return see_other(deployment.airflow_url)
    if not STATE.fullmatch(state):
        console = f"{request.scheme}://{request.get_host()}"
        return see_other(sign_in.start_url(deployment, to=to, console=console))
    here = deployment.url_for("open")
    fields = {"state": state, "next": to}
    if request.method == "POST":
        assertion = sign_in.sign_in(deployment=deployment, by=request.user, state=state, to=to)
        here, fields = f"{deployment.airflow_url.rstrip('/')}/auth/callback", {"assertion": assertion}
    context = {"d": deployment, "action": here, "fields": fields, "own": request.method == "GET"}
    response = render(request, "deployments/sign_in/going.html", context)
    if request.method == "POST":
        parts = urlsplit(deployment.airflow_url)
        allowed = {**settings.SECURE_CSP, "form-action": [f"{parts.scheme}://{parts.netloc}"]}
        response._csp_config = allowed  # type: ignore[attr-defined]  # as django.views.decorators.csp does
        response["Referrer-Policy"] = "no-referrer"
    return response


open_airflow.leads_elsewhere = True  # type: ignore[attr-defined]  # see workspaces.sign_in.onward


@require_GET
@deployment_view(Permission.OPEN_AIRFLOW, alive=True)
def token_page(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Ask for a token for scripts."""
    return _token_page(request, deployment, TokenForm())


@require_POST
@deployment_view(Permission.OPEN_AIRFLOW, alive=True)
def token_new(request: MemberRequest, deployment: Deployment) -> HttpResponse:
    """Show a token once, on the answer to this POST; audited."""
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _token_page(request, deployment, form, status=422)
    minutes = form.cleaned_data["minutes"]
    made = sign_in.make_airflow_token(deployment=deployment, by=request.user, minutes=minutes)
    return _token_page(request, deployment, form, token=made.value, minutes=minutes)


def _token_page(
    request: MemberRequest, deployment: Deployment, form: TokenForm, *, status: int = 200, **more: object
) -> HttpResponse:
    context = {
        **page_context(request, deployment, ""),
        "form": form,
        "airflow_url": deployment.airflow_url.rstrip("/"),
        "why_not": "" if deployment.signs_in else sign_in.OLD,
        **more,
    }
    return render(request, "deployments/sign_in/token.html", context, status=status)
