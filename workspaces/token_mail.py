"""The mails about API tokens, text alone: that one is about to expire, to those who can rotate it; and that a personal
one has a value, to its owner."""

from urllib.parse import urljoin

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse

from console.kit.text import one_line
from workspaces import hooks
from workspaces.models import ApiToken, Membership
from workspaces.permissions import Permission, roles_with

MOST = 20  # people who get a mail


def readers(token: ApiToken) -> list[str]:
    """The addresses of those who can rotate it: its owner, or the Admins of its Workspace."""
    if token.workspace_id is None:
        return [token.maker.email] if token.maker and token.maker.is_active else []
    members = Membership.objects.filter(
        workspace=token.workspace_id, role__in=roles_with(Permission.MANAGE_TOKENS), user__is_active=True
    )
    return list(members.order_by("created_at").values_list("user__email", flat=True)[:MOST])


def expiry_mail(token: ApiToken, to: str) -> EmailMessage:
    """The message to one reader. The token's Workspace and maker are loaded."""
    context = {"token": token, "place": _place(token), "link": urljoin(f"{settings.BASE_URL}/", _page(token))}
    day = f"{token.expires_at:%-d %B %Y}" if token.expires_at else ""
    return EmailMessage(
        subject=f"An API token expires on {day}: {one_line(token.name)[:100]}",
        body=render_to_string("workspaces/mail/token_expires.txt", context),
        to=[to],
    )


def new_value_mail(token: ApiToken, to: str) -> EmailMessage:
    """The message to the owner of a personal token that was created or rotated just now."""
    done = "rotated" if token.rotated_at else "created"
    return EmailMessage(
        subject=f"Your personal API token was {done}: {one_line(token.name)[:100]}",
        body=render_to_string(
            "workspaces/mail/token_new_value.txt",
            {
                "token": token,
                "at": token.rotated_at or token.created_at,
                "link": urljoin(f"{settings.BASE_URL}/", _page(token)),
            },
        ),
        to=[to],
    )


def _place(token: ApiToken) -> str:
    return f"the Workspace {one_line(token.workspace.name)}" if token.workspace else "your account"


def _page(token: ApiToken) -> str:
    if token.workspace_id is None:
        return reverse("own_tokens")
    if token.content_id is not None:
        content = hooks.content_of(token.content_kind).find(token.workspace_id, token.content_id)
        if content is not None:
            return content.tokens_url
    return reverse("workspace_tokens", args=[token.workspace_id])
