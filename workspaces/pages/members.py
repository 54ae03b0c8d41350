"""Pages about who belongs to a Workspace: members, roles, invitations, leaving."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Lower, NullIf
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.kit.http import posted, see_other
from console.kit.refusals import ActionRefused
from workspaces.access import MemberRequest, who_can, workspace_view
from workspaces.actions import invitations, members
from workspaces.actions.invitations import MadeInvitation, Outcome
from workspaces.actions.tokens import made_by
from workspaces.forms import InviteForm, MemberFilterForm, RoleForm
from workspaces.invitation_lookup import sent_by
from workspaces.limits import limited
from workspaces.models import Invitation, Membership, Workspace
from workspaces.permissions import ROLES, Permission, Role, role_allows

PAGE_SIZE = 50


@dataclass(frozen=True)
class MemberListing:
    """One page of members, and the pending invitations, which stand on the first."""

    page: Page[Membership]
    pending: list[Invitation]
    total: int
    invited: int
    admins: int


def listing(workspace: Workspace, chosen: dict[str, str], page: str) -> MemberListing:
    """What the filters leave. Four queries at any size; invitations are bounded by their limit."""
    everybody = Membership.objects.filter(workspace=workspace)
    rows = everybody.select_related("user")
    open_now = Invitation.objects.open().with_inviter().filter(workspace=workspace)
    waiting = invited = list(open_now.order_by("email"))
    if text := chosen.get("q"):
        rows = rows.filter(Q(user__name__icontains=text) | Q(user__email__icontains=text))
        waiting = [each for each in waiting if text.lower() in each.email.lower()]
    if role := chosen.get("role"):
        rows = rows.filter(role=role)
        waiting = [each for each in waiting if each.role == role]
    label = Lower(Coalesce(NullIf(F("user__name"), Value("")), F("user__email")))
    found = Paginator(rows.order_by(label, "pk"), PAGE_SIZE).get_page(page)
    roles = list(everybody.values_list("role", flat=True))
    return MemberListing(
        page=found,
        pending=waiting if found.number == 1 else [],
        total=len(roles),
        invited=len(invited),
        admins=roles.count(Role.ADMIN),
    )


@require_GET
@workspace_view(Permission.VIEW)
def member_list(request: MemberRequest) -> HttpResponse:
    """Everybody who belongs to the Workspace or is invited to it."""
    form = MemberFilterForm(request.GET)
    chosen = form.values()
    found = listing(request.workspace, chosen, request.GET.get("page", ""))
    can_manage = request.can(Permission.MANAGE_MEMBERS)
    context = {
        "page": found.page,
        "pending": found.pending,
        "total": found.total,
        "filters": form,
        "invited": found.invited,
        "no_match": not found.pending and not found.page.object_list,
        "can_manage": can_manage,
        "who_manages": [] if can_manage else who_can(request.workspace, Permission.MANAGE_MEMBERS),
        "only_admin": found.admins == 1,
        "roles": [(role.value, role.label) for role in Role],
        "about_roles": [(role.label, about.sentence) for role, about in ROLES.items()],
        "may_leave": found.admins > 1 or request.membership.role != Role.ADMIN,
    }
    return render(request, "workspaces/members/members.html", context)


def _back(request: MemberRequest) -> HttpResponse:
    return see_other(request.workspace.url_for("members"))


@require_http_methods(["GET", "POST"])
@limited("invite", limit=30, seconds=600)
@workspace_view(Permission.MANAGE_MEMBERS)
def invite(request: MemberRequest) -> HttpResponse:
    """Invite several addresses with one role. The answer shows the links to copy: this once."""
    form = InviteForm(posted(request))
    if form.is_bound and form.is_valid():
        try:
            outcome = invitations.invite(
                workspace=request.workspace,
                by=request.user,
                emails=form.cleaned_data["addresses"],
                role=Role(form.cleaned_data["role"]),
            )
        except ActionRefused as refused:
            form.add_error(None, refused.sentence)
        else:
            return _made(request, outcome)
    return render(
        request, "workspaces/invitations/invite.html", {"form": form}, status=422 if form.is_bound else 200
    )


@require_POST
@limited("invite", limit=30, seconds=600)
@workspace_view(Permission.MANAGE_MEMBERS)
def resend(request: MemberRequest, invitation_id: UUID) -> HttpResponse:
    """A new link and a new mail."""
    try:
        made = invitations.resend(workspace=request.workspace, by=request.user, invitation_id=invitation_id)
    except ActionRefused as refused:
        messages.error(request, refused.sentence)
        return _back(request)
    return _made(request, Outcome([made], [], []))


def _made(request: MemberRequest, outcome: Outcome, *, again: bool = False) -> HttpResponse:
    context = {
        "made": [{"invitation": each.invitation, "link": _link(request, each)} for each in outcome.made],
        "again": again,
        "members": outcome.members,
        "invited": outcome.invited,
    }
    return render(request, "workspaces/invitations/invited.html", context)


def _link(request: HttpRequest, made: MadeInvitation) -> str:
    return urljoin(f"{settings.BASE_URL}/", reverse("invitation", args=[made.token]))


@require_POST
@workspace_view(Permission.MANAGE_MEMBERS)
def show_link(request: MemberRequest, invitation_id: UUID) -> HttpResponse:
    """The present link once more, to copy: nothing is sent, and the one in the mail still works."""
    try:
        made = invitations.show_link(
            workspace=request.workspace, by=request.user, invitation_id=invitation_id
        )
    except ActionRefused as refused:
        messages.error(request, refused.sentence)
        return _back(request)
    return _made(request, Outcome([made], [], []), again=True)


@require_POST
@workspace_view(Permission.MANAGE_MEMBERS)
def revoke(request: MemberRequest, invitation_id: UUID) -> HttpResponse:
    """The link stops working."""
    try:
        gone = invitations.revoke(workspace=request.workspace, by=request.user, invitation_id=invitation_id)
    except ActionRefused as refused:
        messages.error(request, refused.sentence)
    else:
        messages.success(request, f"The invitation of {gone.email} is revoked. Its link no longer works.")
    return _back(request)


@require_POST
@workspace_view(Permission.MANAGE_MEMBERS)
def change_role(request: MemberRequest, user_id: int) -> HttpResponse:
    """Give a member another role."""
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose a role from the list.")
        return _back(request)
    role = Role(form.cleaned_data["role"])
    sent = sent_by(request.workspace, user_id)
    try:
        changed = members.change_role(
            workspace=request.workspace, by=request.user, user_id=user_id, role=role
        )
    except ActionRefused as refused:
        messages.error(request, refused.sentence)
    else:
        stopped = [] if role_allows(role, Permission.MANAGE_MEMBERS) else _stopping(sent)
        messages.success(request, " ".join([f"{changed.user.label} has the role {role.label}.", *stopped]))
    return _back(request)


@require_http_methods(["GET", "POST"])
@workspace_view(Permission.MANAGE_MEMBERS)
def remove(request: MemberRequest, user_id: int) -> HttpResponse:
    """Say what removing a person means, then do it."""
    membership = (
        Membership.objects.select_related("user").filter(workspace=request.workspace, user_id=user_id).first()
    )
    if membership is None:
        raise Http404
    who = membership.user.label
    if request.method == "POST":
        try:
            members.remove(workspace=request.workspace, by=request.user, user_id=user_id)
        except ActionRefused as refused:
            messages.error(request, refused.sentence)
        else:
            messages.success(request, f"{who} is no longer a member.")
        return _back(request)
    sentences = [
        f"{who} can no longer open this Workspace; pages that are open now stop within 15 seconds.",
        "Deployments and what they run stay as they are, and so does the history of what was done.",
        *_resting(made_by(request.workspace, user_id)),
        *_stopping(sent_by(request.workspace, user_id)),
        f"You can invite {membership.user.email} again at any time.",
    ]
    return _confirm(request, f"Remove {who} from {request.workspace.name}?", sentences, f"Remove {who}")


def _resting(count: int) -> list[str]:
    """What becomes of the API tokens that a person made."""
    if not count:
        return []
    if count == 1:
        return ["1 API token that they created stops working until an Admin takes it over by rotating it."]
    return [
        f"{count} API tokens that they created stop working until an Admin takes them over by rotating them."
    ]


def _stopping(count: int) -> list[str]:
    """What becomes of the invitations that a person sent."""
    if not count:
        return []
    if count == 1:
        return ["1 invitation that they sent stops working until an Admin sends it again."]
    return [f"{count} invitations that they sent stop working until an Admin sends them again."]


@require_http_methods(["GET", "POST"])
@workspace_view(Permission.VIEW)
def leave(request: MemberRequest) -> HttpResponse:
    """Say what leaving means, then leave."""
    name = request.workspace.name
    if request.method == "POST":
        try:
            members.leave(workspace=request.workspace, by=request.user)
        except ActionRefused as refused:
            messages.error(request, refused.sentence)
            return _back(request)
        messages.success(request, f"You have left {name}.")
        return see_other(reverse("home"))
    sentences = [
        f"You can no longer open {name}. To come back, you need a new invitation from one of its Admins.",
        "Its Deployments and your part of its history stay.",
    ]
    return _confirm(request, f"Leave {name}?", sentences, "Leave Workspace")


def _confirm(request: MemberRequest, heading: str, sentences: list[str], button: str) -> HttpResponse:
    context: dict[str, Any] = {
        "heading": heading,
        "sentences": sentences,
        "button": button,
        "cancel_url": request.workspace.url_for("members"),
    }
    return render(request, "workspaces/members/confirm.html", context)
