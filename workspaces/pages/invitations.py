"""Pages of the invited. A GET changes nothing, whatever follows the link; only a POST accepts."""

from enum import StrEnum
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.kit.http import see_other
from console.kit.refusals import ActionRefused
from workspaces import invitation_links
from workspaces.access import who_can
from workspaces.actions import invitations
from workspaces.invitation_lookup import has_verified, waiting_for
from workspaces.limits import limited
from workspaces.models import Invitation, Membership, User
from workspaces.permissions import ROLES, Permission, Role


class LinkState(StrEnum):
    """What a person who follows a link sees."""

    UNKNOWN = "unknown"  # never was, or replaced by a newer one
    USED = "used"
    REVOKED = "revoked"
    EXPIRED = "expired"
    UNBACKED = "unbacked"  # who sent it may no longer invite
    SIGNED_OUT = "signed_out"
    OTHER_ACCOUNT = "other_account"
    MEMBER = "member"  # belongs to the Workspace already
    READY = "ready"


CAN_ASK = {LinkState.EXPIRED, LinkState.UNBACKED}
STATUS = {LinkState.UNKNOWN: 404, LinkState.USED: 410, LinkState.REVOKED: 410, **dict.fromkeys(CAN_ASK, 410)}


def state_for(found: invitation_links.Found | None, user: object) -> LinkState:
    """Two queries at most; writes nothing."""
    if found is None:
        return LinkState.UNKNOWN
    invitation = found.invitation
    signed_in = user if isinstance(user, User) else None
    if signed_in and signed_in.email == invitation.email and _belongs(signed_in, invitation):
        return LinkState.MEMBER
    if invitation.accepted_at is not None:
        return LinkState.USED
    if invitation.revoked_at is not None:
        return LinkState.REVOKED
    if invitation.is_expired:
        return LinkState.EXPIRED
    if not invitation.is_backed:
        return LinkState.UNBACKED
    if signed_in is None:
        return LinkState.SIGNED_OUT
    return LinkState.READY if signed_in.email == invitation.email else LinkState.OTHER_ACCOUNT


def _belongs(user: User, invitation: Invitation) -> bool:
    return Membership.objects.filter(workspace_id=invitation.workspace_id, user=user).exists()


@require_http_methods(["GET", "HEAD", "POST"])  # HEAD: mail programs look whether a link works
@limited("accept", limit=30, seconds=300)
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Where an invitation's link leads; the POST accepts."""
    found = invitation_links.find(token)
    state = state_for(found, request.user)
    if request.method == "POST" and found is not None:
        if state is LinkState.SIGNED_OUT:
            return redirect_to_login(request.path)
        if state in {LinkState.READY, LinkState.MEMBER} and isinstance(request.user, User):
            return _accept(request, found.invitation, request.user, proves_address=found.proves_address)
    return _page(request, found, state, token)


def _page(
    request: HttpRequest, found: invitation_links.Found | None, state: LinkState, token: str
) -> HttpResponse:
    context: dict[str, object] = {"state": state.value, "here": reverse("invitation", args=[token])}
    if found is not None:
        asked = found.invitation
        context |= {
            "invitation": asked,
            "joins": asked.workspace,
            "about_role": ROLES[Role(asked.role)].sentence,
            "unbacked": invitations.unbacked(asked),
            "ask_url": reverse("invitation_ask", args=[token]),
            "who": who_can(asked.workspace, Permission.MANAGE_MEMBERS) if state in STATUS else [],
        }
    return render(request, "workspaces/invitations/invitation.html", context, status=STATUS.get(state, 200))


def _accept(request: HttpRequest, asked: Invitation, user: User, *, proves_address: bool) -> HttpResponse:
    if not asked.is_open and _belongs(user, asked):
        return see_other(asked.workspace.url)
    try:
        joined = invitations.accept(invitation=asked, by=user, proves_address=proves_address)
    except ActionRefused as refused:
        messages.error(request, refused.sentence)
        return see_other(reverse("invitations"))
    messages.success(request, f"You have joined {asked.workspace.name}. Your role is {joined.role_label}.")
    return see_other(asked.workspace.url)


@require_POST
@limited("accept", limit=30, seconds=300)
def ask(request: HttpRequest, token: str) -> HttpResponse:
    """A link that no longer works: its holder asks the Admins for a new one."""
    found = invitation_links.find(token)
    if found is not None and state_for(found, request.user) in CAN_ASK:
        invitations.ask_again(invitation=found.invitation)
        messages.success(
            request, f"The Admins of {found.invitation.workspace.name} see that you requested a new link."
        )
    return see_other(reverse("invitation", args=[token]))


@require_GET
@login_required
def mine(request: HttpRequest) -> HttpResponse:
    """What waits for this person."""
    assert isinstance(request.user, User)  # noqa: S101 - login_required
    rows = waiting_for(request.user).select_related("workspace").order_by("created_at")
    context = {"rows": list(rows), "verified": has_verified(request.user)}
    return render(request, "workspaces/invitations/invitations.html", context)


def _mine_or_404(user: User, invitation_id: UUID) -> Invitation:
    row = waiting_for(user).select_related("workspace").filter(pk=invitation_id).first()
    if row is None:
        raise Http404
    return row


@require_POST
@limited("accept", limit=30, seconds=300)
@login_required
def accept_mine(request: HttpRequest, invitation_id: UUID) -> HttpResponse:
    """Accept without the link: the address of this account is verified and is the one that was invited."""
    assert isinstance(request.user, User)  # noqa: S101 - login_required
    row = _mine_or_404(request.user, invitation_id)
    return _accept(request, row, request.user, proves_address=False)


@require_POST
@login_required
def decline_mine(request: HttpRequest, invitation_id: UUID) -> HttpResponse:
    """Decline an invitation that waits for this person."""
    assert isinstance(request.user, User)  # noqa: S101 - login_required
    row = _mine_or_404(request.user, invitation_id)
    try:
        invitations.decline(invitation=row, by=request.user)
    except ActionRefused as refused:
        messages.error(request, refused.sentence)
    else:
        messages.success(request, f"You have declined the invitation to {row.workspace.name}.")
    return see_other(reverse("invitations"))
