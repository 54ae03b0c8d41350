"""Signing in the command line by a code (RFC 8628): two addresses for the program, and the page for the person."""

import json
import time
from http import HTTPStatus

from allauth.account.adapter import get_adapter
from allauth.account.app_settings import REAUTHENTICATION_TIMEOUT
from allauth.account.decorators import reauthentication_required
from allauth.account.internal.flows.login import get_authentication_records
from allauth.idp.oidc import views
from allauth.idp.oidc.models import Client
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST
from oauthlib.oauth2.rfc6749.errors import OAuth2Error

from console.kit import limits
from console.kit.http import posted, see_other
from console.kit.rates import Buckets, Rate
from console.kit.text import is_storable
from workspaces.actions import command_lines
from workspaces.actions.command_lines import LASTS
from workspaces.limits import too_many
from workspaces.models import User
from workspaces.sign_in import devices, tool_codes
from workspaces.sign_in.devices import CLIENT, NoSuchCode

CODES = {"limit": 30, "seconds": 600}  # that one network address may ask for
TRIES = {"limit": 20, "seconds": 300}  # codes that one person may look up; there are 25,600 million
POLLS = Rate(10, 200)  # of one network address: an office of people who sign in at once
NOT_TEXT = "A value holds a NUL character. Leave that out."
buckets = Buckets()


def _address(request: HttpRequest) -> str:
    return str(get_adapter().get_client_ip(request))  # behind as many proxies as are trusted


def _oauth_error(error: str, sentence: str, status: int, *, retry_after: int = 0) -> HttpResponse:
    response = JsonResponse({"error": error, "error_description": sentence}, status=status)
    if retry_after:
        response["Retry-After"] = str(retry_after)
    return response


def _is_storable(request: HttpRequest) -> bool:
    """Whether what was posted can be looked up at all; allauth looks without asking."""
    return all(is_storable(value) for _, values in request.POST.lists() for value in values)


@csrf_exempt  # a program without cookies
@require_POST
def device_code(request: HttpRequest) -> HttpResponse:
    """A code for the program, and where the person confirms it."""
    address = _address(request)
    if wait := limits.hit("device_code", address, **CODES):
        return _oauth_error("temporarily_unavailable", "Too many codes. Wait.", 429, retry_after=wait)
    if not _is_storable(request):
        return _oauth_error("invalid_request", NOT_TEXT, 400)
    if request.POST.get("client_id") == CLIENT:
        command_lines.known()
    response: HttpResponse = views.device_code(request)
    if response.status_code == HTTPStatus.OK:
        made = json.loads(response.content)
        label = request.POST.get("device", "")
        devices.note(made["user_code"], seconds=made["expires_in"], device=label, address=address)
    return response


@csrf_exempt  # a program without cookies
@require_POST
def token(request: HttpRequest) -> HttpResponse:
    """What the program polls for: an API token of the person's own, once that person agreed. Other tools get theirs
    from django-allauth."""
    if not _is_storable(request):
        return _oauth_error("invalid_grant", NOT_TEXT, 400)
    if request.POST.get("grant_type") != Client.GrantType.DEVICE_CODE:
        return _tool_token(request)
    if buckets.take(_address(request), POLLS):
        return _oauth_error("slow_down", "Ask less often.", 400)
    with devices.redeemed(request) as outcome:
        if isinstance(outcome, OAuth2Error):
            return _oauth_error(outcome.error, outcome.description or "", outcome.status_code)
        user, asking = outcome
        made = command_lines.sign_in(
            by=user, device=asking.device, address=asking.address, agreed_at=asking.agreed_at
        )
    return JsonResponse(
        {
            "access_token": made.value,
            "token_type": "Bearer",
            "expires_in": int(LASTS.total_seconds()),
            "scope": "airdeck",
        }
    )


def _tool_token(request: HttpRequest) -> HttpResponse:
    response: HttpResponse
    if request.POST.get("grant_type") != Client.GrantType.AUTHORIZATION_CODE:
        response = views.token(request)
        return response
    with tool_codes.exchanged(request.POST.get("code", "")) as counts:
        response = views.token(request)
        if response.status_code == HTTPStatus.OK and not counts:  # what is wrong otherwise, allauth says
            transaction.set_rollback(True)
            return _oauth_error("invalid_grant", tool_codes.SIGNED_OUT, 400)
    return response


class CodeForm(forms.Form):
    """The code as a person types it."""

    code = forms.CharField(
        label="Code",
        max_length=40,
        help_text="Eight letters, as your terminal shows them.",
        error_messages={"required": "Enter the code that your terminal shows."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters"}),
    )


def _must_prove(request: HttpRequest) -> bool:
    """Whether to ask for the password: allauth counts proofs alone, and who has just signed in would type it twice."""
    records = get_authentication_records(request, request.user)
    return not any(time.time() - each["at"] < REAUTHENTICATION_TIMEOUT for each in records)


@require_http_methods(["GET", "POST"])
@login_required
@reauthentication_required(enabled=_must_prove)  # type: ignore[untyped-decorator]
def device(request: HttpRequest) -> HttpResponse:
    """Enter a code; see who asks; say yes or no. The code stands in the address all the while, so that it outlives a
    sign-in on the way."""
    assert isinstance(request.user, User)  # noqa: S101 - signed in
    typed = request.GET.get("code")
    if typed is None:
        form = CodeForm(posted(request))
        if form.is_bound and form.is_valid():
            return see_other(
                reverse("idp:oidc:device_authorization", query={"code": form.cleaned_data["code"]})
            )
        return _ask(request, form)
    if wait := limits.hit("device", request.user.pk, **TRIES):
        return too_many(request, wait)
    try:
        if request.method == "POST":
            allowed = request.POST.get("answer") == "yes"
            return _answered(
                request, devices.answer(typed, by=request.user, allowed=allowed), allowed=allowed
            )
        asking = devices.asking(typed)
    except NoSuchCode as error:
        form = CodeForm({"code": typed[:40]})
        form.add_error("code", str(error))
        return _ask(request, form)
    context = {"asking": asking, "ends": timezone.now() + LASTS}
    return render(request, "workspaces/devices/confirm.html", context)


def _ask(request: HttpRequest, form: CodeForm) -> HttpResponse:
    context = {"form": form, "action": reverse("idp:oidc:device_authorization")}
    return render(request, "workspaces/devices/code.html", context, status=422 if form.is_bound else 200)


def _answered(request: HttpRequest, asking: devices.Asking, *, allowed: bool) -> HttpResponse:
    if allowed:
        messages.success(
            request, f"The command line on {asking.device} is signed in. Go back to your terminal."
        )
    else:
        messages.info(request, f"The command line on {asking.device} is not signed in.")
    return see_other(reverse("own_tokens"))
