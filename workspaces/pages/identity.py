"""The console as an OpenID provider of other tools, once an operator gave it a key (IDENTITY_KEY). django-allauth
answers; without a key there is nothing here."""

from collections.abc import Callable
from functools import wraps

from allauth.idp.oidc import views
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

from console.kit.http import see_other
from workspaces.models import User
from workspaces.sign_in import tool_codes, ways


def _with_key(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view, updated=())
    def guarded(request: HttpRequest) -> HttpResponse:
        if not settings.IDP_OIDC_PRIVATE_KEY:
            raise Http404
        return view(request)

    return guarded


configuration = require_GET(_with_key(views.configuration))
jwks = require_GET(_with_key(views.jwks))
# Nothing is asked of the person here: the tools are those that an operator named (manage.py tools).


@require_GET
@_with_key
def authorization(request: HttpRequest) -> HttpResponse:
    """Sends the browser on with a code for the tool, which counts as long as the person is not signed out."""
    user = request.user
    marked = ways.mark(user) if isinstance(user, User) else ""
    response: HttpResponse = views.authorization(request)
    if isinstance(user, User):
        tool_codes.note(response.get("Location", ""), by=user, marked=marked)
    return response


authorization.leads_elsewhere = True  # type: ignore[attr-defined]  # see workspaces.sign_in.onward
user_info = csrf_exempt(_with_key(views.user_info))
revoke = csrf_exempt(_with_key(views.revoke))


@require_GET
def logout(request: HttpRequest) -> HttpResponse:
    """Our own page asks whether to sign out: no other tool signs people out of here."""
    return see_other(reverse("account_logout"))
