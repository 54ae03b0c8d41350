"""The mail of an invitation: HTML and text, nothing remote in it."""

from urllib.parse import urljoin

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from workspaces.models import Invitation


def invitation_mail(invitation: Invitation, token: str) -> EmailMultiAlternatives:
    """The message, ready to be sent to the stored address. Names are cut to one line, so no header is forged."""
    context = {
        "invitation": invitation,
        "workspace": invitation.workspace,
        "inviter": invitation.inviter_label,
        "link": urljoin(f"{settings.BASE_URL}/", reverse("invitation", args=[token])),
    }
    subject = f"{invitation.inviter_label} invites you to {invitation.workspace.name} on Airdeck"
    message = EmailMultiAlternatives(
        subject=" ".join(subject.split()),
        body=render_to_string("workspaces/mail/invitation.txt", context),
        to=[invitation.email],
    )
    message.attach_alternative(render_to_string("workspaces/mail/invitation.html", context), "text/html")
    return message
