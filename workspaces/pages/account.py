"""A person's own account: settings, and its end. Signing in, second factors and sessions are allauth's pages."""

from allauth.account.decorators import reauthentication_required
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from console.kit.http import posted, see_other
from console.kit.refusals import ActionRefused
from workspaces import hooks
from workspaces.actions import workspaces
from workspaces.forms import AccountForm, ConfirmForm
from workspaces.models import User


@require_http_methods(["GET", "POST"])
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """Name, theme and time zone; and the ways to everything else about the account."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - login_required
    initial = {"name": user.name, "theme": user.theme, "time_zone": user.time_zone}
    form = AccountForm(posted(request), initial=initial)
    if form.is_bound and form.is_valid():
        workspaces.update_account(user=user, **form.cleaned_data)
        messages.success(request, "Your settings are saved.")
        return see_other(reverse("account"))
    context = {
        "form": form,
        "verified": EmailAddress.objects.filter(user=user, email=user.email, verified=True).exists(),
        "second_factor": Authenticator.objects.filter(user=user).exists(),
        "sessions": UserSession.objects.filter(user=user).count(),
    }
    return render(request, "workspaces/account/account.html", context, status=422 if form.is_bound else 200)


@require_POST
@login_required
def end_session(request: HttpRequest, session_id: int) -> HttpResponse:
    """Sign out one other browser of this person."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - login_required
    session = get_object_or_404(UserSession, pk=session_id, user=user)
    if session.session_key == request.session.session_key:
        messages.error(request, "This is the session that you are using. Sign out to end it.")
    else:
        session.end()
        hooks.signed_out(user)
        messages.success(request, "That browser is signed out.")
    return see_other(reverse("usersessions_list"))


@require_http_methods(["GET", "POST"])
@login_required
@reauthentication_required(allow_get=True)  # type: ignore[untyped-decorator]
def delete(request: HttpRequest) -> HttpResponse:
    """Say what goes, ask for the address, then delete the account."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - login_required
    form = ConfirmForm(
        posted(request),
        label="Type your email address to confirm",
        expected=user.email,
        sentence=f"Type {user.email} exactly as it is shown.",
    )
    if form.is_bound and form.is_valid():
        try:
            workspaces.delete_account(user=user)
        except ActionRefused as refused:
            form.add_error(None, refused.sentence)
        else:
            logout(request)
            messages.success(request, "Your account is deleted.")
            return see_other(reverse("account_login"))
    context = {
        "form": form,
        "reasons": workspaces.why_account_stays(user),
        "goes": workspaces.workspaces_deleted_with(user),
    }
    return render(
        request, "workspaces/account/account_delete.html", context, status=422 if form.is_bound else 200
    )
