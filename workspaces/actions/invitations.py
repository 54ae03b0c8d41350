"""Inviting: what Admins and the invited do. Atomic, explicit actor, audit event in the same transaction, and a hint to
send the mail once it is committed.

Lock order: the Workspace first, then the invitation. So an accept, a revoke and a delete happen one after another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from uuid import UUID

from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from console.kit import limits
from console.kit.refusals import ActionRefused
from console.kit.wording import spelled
from workspaces import audit, enqueue, invitation_links
from workspaces.actions.locks import lock, lock_for
from workspaces.models import Invitation, Membership, User, Workspace
from workspaces.permissions import Permission, Role

LASTS = timedelta(days=7)
RESEND_AFTER = timedelta(minutes=1)
PENDING_PER_WORKSPACE = 100
MAILS_PER_HOUR = 100  # that one person has sent, in all Workspaces, and that go out of one Workspace


class TooManyInvitations(ActionRefused):
    """More mail than one person, or one Workspace, may have sent to strangers."""

    code, status = "too_many_invitations", 429

    def __init__(self, whose: str, seconds: int) -> None:
        super().__init__(
            f"{whose} may send {MAILS_PER_HOUR} invitations an hour, and these would be more. Try again in "
            f"{spelled(seconds)}, or invite fewer people now."
        )


@dataclass(frozen=True)
class MadeInvitation:
    """An invitation, and the token of the link that an Admin may copy. The token is known here and nowhere later."""

    invitation: Invitation
    token: str = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """What became of each address, in the order in which they were given."""

    made: list[MadeInvitation]
    members: list[str]  # belong to the Workspace already
    invited: list[Invitation]  # were invited already, and still may come


@transaction.atomic
def invite(*, workspace: Workspace, by: User, emails: Sequence[str], role: Role) -> Outcome:
    """Invite each normalised address with `role`. Who is a member or invited stays as is; an invitation that has
    expired, or whose sender may no longer invite, is made again. Raises ActionRefused (more than 100 pending, or too
    many mails in an hour) or MissingPermission."""
    locked = lock_for(workspace.pk, by, Permission.MANAGE_MEMBERS)
    members = set(Membership.objects.filter(workspace=locked).values_list("user__email", flat=True))
    rows = Invitation.objects.open().with_inviter().filter(workspace=locked)
    known = {row.email: row for row in rows.select_for_update(of=("self",))}
    outcome = Outcome([], [], [])
    for email in dict.fromkeys(emails):
        earlier = known.get(email)
        if email in members:
            outcome.members.append(email)
        elif earlier is not None and earlier.is_backed and not earlier.is_expired:
            outcome.invited.append(earlier)
        else:
            new = earlier or Invitation(workspace=locked, email=email)
            new.role = role
            known[email] = new
            outcome.made.append(_issue(new, by, "invited"))
    if len(known) > PENDING_PER_WORKSPACE:
        raise ActionRefused(
            f"A Workspace may have {PENDING_PER_WORKSPACE} pending invitations, and these would make "
            f"{len(known)}. Revoke some first, or invite fewer people."
        )
    _count_mails(locked, by, len(outcome.made))
    return outcome


@transaction.atomic
def resend(*, workspace: Workspace, by: User, invitation_id: UUID) -> MadeInvitation:
    """New links, seven new days and a new mail, by who sends them now; the old links stop working. Raises ActionRefused
    (not open any more, or the last one is not a minute old, or too many mails in an hour) or MissingPermission."""
    locked = lock_for(workspace.pk, by, Permission.MANAGE_MEMBERS)
    invitation = _open(locked, invitation_id)
    wait = (invitation.last_sent_at + RESEND_AFTER - timezone.now()).total_seconds()
    if wait > 0:
        raise ActionRefused(f"The last link is less than a minute old. Try again in {int(wait) + 1} seconds.")
    _count_mails(locked, by, 1)
    return _issue(invitation, by, "invited again")


@transaction.atomic
def show_link(*, workspace: Workspace, by: User, invitation_id: UUID) -> MadeInvitation:
    """The present link for copying; changes nothing, and is audited. Raises MissingPermission, or ActionRefused (not
    open any more, expired, its sender may no longer invite, or made with an earlier SECRET_KEY)."""
    locked = lock_for(workspace.pk, by, Permission.MANAGE_MEMBERS)
    invitation = _open(locked, invitation_id)
    if invitation.is_expired:
        raise ActionRefused("This invitation has expired. Send it again to get a new link.")
    if not invitation.is_backed:
        raise ActionRefused(f"{unbacked(invitation)} Send it again to get a link that works.")
    pair = invitation_links.links_of(invitation)
    if invitation_links.hashes(pair) != (invitation.mailed_hash, invitation.copied_hash):
        raise ActionRefused("The link was made with an earlier SECRET_KEY. Send it again to get a new one.")
    audit.record(invitation, by, "showed the link of")
    return MadeInvitation(invitation, pair.copied)


def _count_mails(workspace: Workspace, by: User, number: int) -> None:
    # What they do in several Workspaces at the same instant is counted one after another.
    User.objects.select_for_update(no_key=True).get(pk=by.pk)
    for whose, who in (("One person", by.pk), ("A Workspace", workspace.pk)):
        if wait := limits.hit("invitations", who, limit=MAILS_PER_HOUR, seconds=3600, events=number):
            raise TooManyInvitations(whose, wait)


def _issue(invitation: Invitation, by: User, verb: str) -> MadeInvitation:
    """Give the invitation new links and queue their mail."""
    now = timezone.now()
    invitation.invited_by, invitation.is_backed = by, True
    invitation.nonce = invitation_links.new_nonce()
    pair = invitation_links.links_of(invitation)
    invitation.mailed_hash, invitation.copied_hash = invitation_links.hashes(pair)
    invitation.expires_at, invitation.last_sent_at, invitation.asked_at = now + LASTS, now, None
    invitation.mail_state, invitation.mail_sentence = Invitation.Mail.QUEUED, ""
    invitation.mail_tries, invitation.mail_due_at = 0, now
    invitation.save()
    audit.record(invitation, by, verb, new={"role": invitation.role})
    transaction.on_commit(partial(enqueue.send_invitation, invitation.pk), robust=True)
    return MadeInvitation(invitation, pair.copied)


@transaction.atomic
def revoke(*, workspace: Workspace, by: User, invitation_id: UUID) -> Invitation:
    """The links stop working at once. Raises ActionRefused when it was used or revoked already, or
    MissingPermission."""
    locked = lock_for(workspace.pk, by, Permission.MANAGE_MEMBERS)
    invitation = _open(locked, invitation_id)
    return _close(invitation, by, "revoked the invitation of")


@transaction.atomic
def decline(*, invitation: Invitation, by: User) -> Invitation:
    """The invited person does not want to come. Raises ActionRefused when there is nothing to decline."""
    locked = lock(invitation.workspace_id)
    fresh = _open(locked, invitation.pk)
    _require_owner(fresh, by)
    return _close(fresh, by, "declined the invitation of")


def _close(invitation: Invitation, by: User, verb: str) -> Invitation:
    invitation.revoked_at = timezone.now()
    invitation.save(update_fields=["revoked_at"])
    audit.record(invitation, by, verb, old={"role": invitation.role})
    return invitation


def _open(workspace: Workspace, invitation_id: UUID) -> Invitation:
    rows = Invitation.objects.with_inviter().filter(workspace=workspace, pk=invitation_id)
    invitation = rows.select_for_update(of=("self",)).first()
    if invitation is None or invitation.revoked_at is not None:
        raise ActionRefused("This invitation was already revoked.")
    if invitation.accepted_at is not None:
        raise ActionRefused(f"This invitation was already used: {invitation.email} has joined.")
    return invitation


def unbacked(invitation: Invitation) -> str:
    """Why an invitation does not count whose sender was removed, is no Admin any more, or is blocked."""
    who, where = invitation.inviter_label, invitation.workspace.name
    return f"This invitation came from {who}, who may no longer invite people to {where}."


def _require_owner(invitation: Invitation, by: User) -> None:
    if by.email != invitation.email:
        raise ActionRefused(
            f"This invitation is for {invitation.email}. Sign in with that address to use it."
        )


@transaction.atomic
def accept(*, invitation: Invitation, by: User, proves_address: bool) -> Membership:
    """Join with the role that the invitation names now, once. `proves_address`: the link came by mail, so the address
    is verified with it. A person who is a member already keeps the present role. Raises ActionRefused."""
    workspace = lock(invitation.workspace_id)
    fresh = _open(workspace, invitation.pk)
    _require_owner(fresh, by)
    if workspace.suspended_at is not None:
        raise ActionRefused(f"{workspace.name} is suspended by a site administrator. Try again later.")
    if fresh.is_expired:
        raise ActionRefused("This invitation has expired. Ask for a new link.")
    if not fresh.is_backed:
        raise ActionRefused(f"{unbacked(fresh)} Ask an Admin for a new link.")
    membership, joined = Membership.objects.get_or_create(
        workspace=workspace, user=by, defaults={"role": fresh.role}
    )
    fresh.accepted_at, fresh.accepted_by = timezone.now(), by
    fresh.save(update_fields=["accepted_at", "accepted_by"])
    if proves_address:
        EmailAddress.objects.filter(user=by, email=by.email).update(verified=True)
    verb = "joined" if joined else "used an invitation to"
    audit.record(workspace, by, verb, new={"role": membership.role})
    return membership


@transaction.atomic
def ask_again(*, invitation: Invitation) -> None:
    """A person whose link has expired, or whose inviter may no longer invite, wants a new one: the members page says
    so to the Admins. Idempotent, and the event has no actor, for who holds the link may not be signed in."""
    now = timezone.now()
    rows = Invitation.objects.open().with_inviter().filter(pk=invitation.pk, asked_at__isnull=True)
    rows.filter(Q(expires_at__lte=now) | Q(is_backed=False)).update(asked_at=now)
