"""Confirming that it is you, in front of what asks for that again: the pages are django-allauth's, by a password, a
code or a key. Who has none of these gets a page with a way on in place of a bare refusal."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account import views
from allauth.account.adapter import get_adapter
from allauth.account.utils import get_next_redirect_url
from allauth.mfa.base import views as codes
from allauth.mfa.webauthn import views as keys
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from workspaces.models import User


def _with_a_way_on(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view, updated=())
    def asked(request: HttpRequest) -> HttpResponse:
        if isinstance(request.user, User) and not get_adapter().get_reauthentication_methods(request.user):
            return _other_way(request)
        return view(request)

    return asked


def _other_way(request: HttpRequest) -> HttpResponse:
    """By the company account, which is asked to look at the person again; else by a password, once it is set."""
    to = get_next_redirect_url(request) or reverse("account")
    if settings.OIDC_URL:
        provider = {"provider_id": settings.OIDC_PROVIDER}
        again = {"next": to, "auth_params": "prompt=login"}
        context: dict[str, Any] = {"way": reverse("openid_connect_login", kwargs=provider, query=again)}
    else:
        back = reverse("account_reauthenticate", query={"next": to})
        context = {"way": reverse("account_set_password", query={"next": back})}
    return render(request, "account/reauthenticate_otherwise.html", context)


by_password = _with_a_way_on(views.reauthenticate)
by_code = _with_a_way_on(codes.reauthenticate)
by_key = _with_a_way_on(keys.reauthenticate_webauthn)
