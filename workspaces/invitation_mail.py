"""The mail of an invitation: HTML and text, nothing remote in it."""

from urllib.parse import urljoin

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from console.kit.names import seems_to_lead_somewhere
from console.kit.text import one_line
from workspaces.models import Invitation


def invitation_mail(invitation: Invitation, token: str) -> EmailMultiAlternatives:
    """The message, ready to be sent to the stored address. It goes to strangers in the operator's name: no name stands
    in its subject, and none in its body that a mail program would make a link of."""
    sender = invitation.invited_by
    address = sender.email if sender else "A former member"
    name = one_line(sender.name) if sender and not seems_to_lead_somewhere(sender.name) else ""
    workspace = one_line(invitation.workspace.name)
    context = {
        "invitation": invitation,
        "workspace": "" if seems_to_lead_somewhere(workspace) else workspace,
        "inviter": f"{name} ({address})" if name else address,
        "link": urljoin(f"{settings.BASE_URL}/", reverse("invitation", args=[token])),
    }
    message = EmailMultiAlternatives(
        subject=f"{address} invites you to a Workspace on Airdeck",
        body=render_to_string("workspaces/mail/invitation.txt", context),
        to=[invitation.email],
    )
    message.attach_alternative(render_to_string("workspaces/mail/invitation.html", context), "text/html")
    return message
