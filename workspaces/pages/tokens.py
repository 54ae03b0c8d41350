"""Pages of API tokens: of a Workspace, of a person, and, through the app above, of one content of a Workspace."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from allauth.account.decorators import reauthentication_required
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from console.kit.http import posted, see_other
from console.kit.refusals import ActionRefused
from workspaces.access import MemberRequest, who_can, workspace_view
from workspaces.actions import tokens
from workspaces.actions.tokens import MadeToken, Scope, TokenGone
from workspaces.limits import limited
from workspaces.models import ApiToken, Membership, User, Workspace
from workspaces.permissions import Permission, Role, least
from workspaces.token_access import SIGN_IN
from workspaces.token_forms import TokenForm


@dataclass(frozen=True)
class TokenPlace:
    """Where tokens are shown: to what they belong, and the addresses of their pages."""

    scope: Scope
    heading: str
    about: str  # what such a token does
    list_url: str
    url_of: Callable[..., str]  # of "new", and of "rotate" and "revoke" with the id of a token
    may_manage: bool
    parent: tuple[str, str] = ("", "")  # address and words of the page above
    more: dict[str, Any] | None = None  # for templates of the app above


@dataclass(frozen=True)
class Row:
    """A token as its row shows it."""

    token: ApiToken
    role: str
    state: str  # why it does not work at present; "" when it does
    rotate_url: str  # "" for a sign-in of the command line, which has no other value
    revoke_url: str


def _rows(place: TokenPlace, by: User) -> list[Row]:
    """The tokens of the place, with the role each has now. Two queries."""
    found = list(tokens.listed(place.scope, by))
    workspace = place.scope.workspace
    roles: dict[int, str] = {}
    if workspace is not None:
        makers = {each.maker_id for each in found if each.maker_id is not None}
        members = Membership.objects.filter(workspace=workspace, user_id__in=makers)
        roles = dict(members.values_list("user_id", "role"))
    return [_row(place, each, roles) for each in found]


def _row(place: TokenPlace, token: ApiToken, roles: dict[int, str]) -> Row:
    own = Role.ADMIN if place.scope.workspace is None else roles.get(token.maker_id or 0, "")
    state = ""
    if token.is_expired:
        state = "Expired. Rotate it to use it again."
        if token.kind == SIGN_IN:
            state = "Expired. Run airdeck login there again."
    elif not own:
        state = "Created by a former member, so it does not work. Rotate it to take it over."
    elif token.maker is not None and not token.maker.is_active:
        state = "The account of the person who created it is blocked, so it does not work. Rotate it to take it over."
    role = token.role_label
    if own and least(own, token.role) != token.role:
        role = f"{role}, at most {Role(own).label} like the person who created it"
    rotate_url = "" if token.kind == SIGN_IN else place.url_of("rotate", token.pk)
    return Row(token, role, state, rotate_url, place.url_of("revoke", token.pk))


def list_page(request: HttpRequest, place: TokenPlace) -> HttpResponse:
    """Every token that works, and those that expired lately."""
    assert isinstance(request.user, User)  # noqa: S101 - signed in
    workspace = place.scope.workspace
    asks = workspace is not None and not place.may_manage
    context = {
        **_context(place),
        "rows": _rows(place, request.user),
        "new_url": place.url_of("new"),
        "who": who_can(workspace, Permission.MANAGE_TOKENS) if asks and workspace else [],
    }
    return render(request, "workspaces/tokens/list.html", context)


def new_page(request: HttpRequest, place: TokenPlace) -> HttpResponse:
    """Fill in a new token; the answer shows its value: this once."""
    assert isinstance(request.user, User)  # noqa: S101 - signed in
    form = TokenForm(posted(request), roles=place.scope.roles(Role.ADMIN))
    if form.is_bound and form.is_valid():
        try:
            made = tokens.make(scope=place.scope, by=request.user, wish=form.wish())
        except ActionRefused as refused:
            form.refuse(refused)
        else:
            return _made(request, place, made)
    context = {**_context(place), "form": form}
    return render(request, "workspaces/tokens/new.html", context, status=422 if form.is_bound else 200)


def rotate_page(request: HttpRequest, place: TokenPlace, pk: UUID) -> HttpResponse:
    """Say what rotating does, then do it; the answer shows the new value: this once."""
    assert isinstance(request.user, User)  # noqa: S101 - signed in
    token = _token(place, request.user, pk)
    if request.method == "POST":
        try:
            made = tokens.rotate(scope=place.scope, by=request.user, pk=pk)
        except ActionRefused as refused:
            return _refused(request, place, refused)
        return _made(request, place, made)
    sentences = [
        "The value that programs have now stops working at once.",
        "You see the new value on the next page, once. It is yours: it acts as you, with at most your role.",
    ]
    if token.expires_at:
        sentences.append("It lasts as long again as it was to last.")
    return _confirm(request, place, f"Rotate {token.name}?", sentences, "Rotate token")


def revoke_page(request: HttpRequest, place: TokenPlace, pk: UUID) -> HttpResponse:
    """Say what revoking does, then do it."""
    assert isinstance(request.user, User)  # noqa: S101 - signed in
    token = _token(place, request.user, pk)
    if request.method == "POST":
        try:
            tokens.revoke(scope=place.scope, by=request.user, pk=pk)
        except ActionRefused as refused:
            return _refused(request, place, refused)
        messages.success(request, f"{token.name} is revoked. Programs with it are refused from now on.")
        return see_other(place.list_url)
    sentences = [
        "Programs with this token are refused from their next request on.",
        "What they asked for before goes on. The history keeps the token's name.",
    ]
    return _confirm(request, place, f"Revoke {token.name}?", sentences, "Revoke token")


def _token(place: TokenPlace, by: User, pk: UUID) -> ApiToken:
    token = place.scope.rows(by).filter(pk=pk, revoked_at__isnull=True).first()
    if token is None:
        raise Http404
    return token


def _context(place: TokenPlace) -> dict[str, Any]:
    return {"place": place, "list_url": place.list_url, **(place.more or {})}


def _made(request: HttpRequest, place: TokenPlace, made: MadeToken) -> HttpResponse:
    context = {
        **_context(place),
        "token": made.token,
        "value": made.value,
        "line": f"export AIRDECK_URL={settings.BASE_URL} AIRDECK_TOKEN={made.value}",
    }
    return render(request, "workspaces/tokens/made.html", context)


def _refused(request: HttpRequest, place: TokenPlace, refused: ActionRefused) -> HttpResponse:
    if isinstance(refused, TokenGone):
        raise Http404
    messages.error(request, refused.sentence)
    return see_other(place.list_url)


def _confirm(
    request: HttpRequest, place: TokenPlace, heading: str, sentences: list[str], button: str
) -> HttpResponse:
    context = {**_context(place), "heading": heading, "sentences": sentences, "button": button}
    return render(request, "workspaces/tokens/confirm.html", context)


# --- Of a Workspace


def _of_workspace(request: MemberRequest) -> TokenPlace:
    workspace: Workspace = request.workspace

    def url_of(name: str, *more: object) -> str:
        return reverse(f"workspace_token_{name}", args=[workspace.pk, *more])

    return TokenPlace(
        scope=Scope(workspace),
        heading="API tokens",
        about=f"Programs use API tokens to work in {workspace.name}: on all its Deployments, as far as the role goes.",
        list_url=reverse("workspace_tokens", args=[workspace.pk]),
        url_of=url_of,
        may_manage=request.can(Permission.MANAGE_TOKENS),
    )


@require_GET
@workspace_view(Permission.VIEW)
def workspace_tokens(request: MemberRequest) -> HttpResponse:
    """The tokens of the Workspace."""
    return list_page(request, _of_workspace(request))


@require_http_methods(["GET", "POST"])
@limited("token", limit=30, seconds=600)
@workspace_view(Permission.MANAGE_TOKENS)
@reauthentication_required  # type: ignore[untyped-decorator]
def workspace_token_new(request: MemberRequest) -> HttpResponse:
    """Create an API token; its value is shown this once."""
    return new_page(request, _of_workspace(request))


@require_http_methods(["GET", "POST"])
@limited("token", limit=30, seconds=600)
@workspace_view(Permission.MANAGE_TOKENS)
@reauthentication_required  # type: ignore[untyped-decorator]
def workspace_token_rotate(request: MemberRequest, token_id: UUID) -> HttpResponse:
    """Give the token a new value, shown once."""
    return rotate_page(request, _of_workspace(request), token_id)


@require_http_methods(["GET", "POST"])
@workspace_view(Permission.MANAGE_TOKENS)
def workspace_token_revoke(request: MemberRequest, token_id: UUID) -> HttpResponse:
    """Revoke an API token."""
    return revoke_page(request, _of_workspace(request), token_id)


# --- A person's own


def _own() -> TokenPlace:
    def url_of(name: str, *more: object) -> str:
        return reverse(f"own_token_{name}", args=more)

    return TokenPlace(
        scope=Scope(None),
        heading="Your API tokens",
        about="Programs use API tokens to act as you, in every Workspace of yours, as far as the role goes.",
        list_url=reverse("own_tokens"),
        url_of=url_of,
        may_manage=True,
        parent=(reverse("account"), "Your account"),
    )


@require_GET
@login_required
def own_tokens(request: HttpRequest) -> HttpResponse:
    """One's own tokens."""
    return list_page(request, _own())


@require_http_methods(["GET", "POST"])
@limited("token", limit=30, seconds=600)
@login_required
@reauthentication_required  # type: ignore[untyped-decorator]
def own_token_new(request: HttpRequest) -> HttpResponse:
    """Create an API token; its value is shown this once."""
    return new_page(request, _own())


@require_http_methods(["GET", "POST"])
@limited("token", limit=30, seconds=600)
@login_required
@reauthentication_required  # type: ignore[untyped-decorator]
def own_token_rotate(request: HttpRequest, token_id: UUID) -> HttpResponse:
    """Give the token a new value, shown once."""
    return rotate_page(request, _own(), token_id)


@require_http_methods(["GET", "POST"])
@login_required
def own_token_revoke(request: HttpRequest, token_id: UUID) -> HttpResponse:
    """Revoke an API token."""
    return revoke_page(request, _own(), token_id)
