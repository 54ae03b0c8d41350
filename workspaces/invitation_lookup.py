"""Which invitation leads a person to us: by the link that is followed through sign-in and sign-up, or by an address
that is known to be the person's own."""

from urllib.parse import urlsplit

from allauth.account.models import EmailAddress
from django.db.models import Exists, QuerySet
from django.http import HttpRequest
from django.urls import Resolver404, resolve

from workspaces import invitation_links
from workspaces.models import Invitation, User, Workspace


def followed_link(request: HttpRequest) -> invitation_links.Found | None:
    """The usable invitation to which `next` leads, on the way through allauth's pages. Nothing is kept in the
    session, so a link in one tab changes nothing in another."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    try:
        match = resolve(urlsplit(target).path)
    except (Resolver404, ValueError):
        return None
    found = invitation_links.find(match.kwargs["token"]) if match.url_name == "invitation" else None
    if found is None or not found.invitation.is_open or found.invitation.is_expired:
        return None
    return found if found.invitation.is_backed else None


def has_verified(user: User) -> bool:
    """Whether this person proved to read the mail of the account's address."""
    return _verified(user).exists()


def _verified(user: User) -> QuerySet[EmailAddress]:
    rows: QuerySet[EmailAddress] = EmailAddress.objects.filter(user=user, email=user.email, verified=True)
    return rows


def waiting_for(user: User) -> QuerySet[Invitation]:
    """The invitations that this person may accept without a link. None while the address is not verified: anybody can
    type another person's address into sign-up."""
    return Invitation.objects.usable().filter(Exists(_verified(user)), email=user.email)


def sent_by(workspace: Workspace, user_id: int) -> int:
    """How many invitations would stop working if this person could no longer invite people to it."""
    return Invitation.objects.usable().filter(workspace=workspace, invited_by=user_id).count()
