"""The links of an invitation. Only hashes are stored; the tokens are made again from SECRET_KEY when a mail is sent,
so that no message and no row holds one.

An invitation has two: the mailed one proves that the person who opens it reads that mailbox; the one that an Admin
copies proves nothing about the address. A dump of the database opens neither.
"""

import base64
import hmac
from dataclasses import dataclass, field

from django.utils.crypto import salted_hmac

from console.kit.crypto import random_token, token_hash
from workspaces.models import Invitation


@dataclass(frozen=True)
class Links:
    """Both tokens of the present links."""

    mailed: str = field(repr=False)
    copied: str = field(repr=False)


@dataclass(frozen=True)
class Found:
    """The invitation that a token opens."""

    invitation: Invitation
    proves_address: bool  # the link came by mail


def new_nonce() -> str:
    """A fresh one makes every earlier link worthless."""
    return random_token()


def links_of(invitation: Invitation) -> Links:
    """The tokens, 256 bits each, made from SECRET_KEY, the invitation's id and its nonce."""
    return Links(_token(invitation, "mailed"), _token(invitation, "copied"))


def _token(invitation: Invitation, channel: str) -> str:
    salt = f"workspaces.invitation.{channel}"
    digest = salted_hmac(salt, f"{invitation.pk}:{invitation.nonce}", algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def hashes(links: Links) -> tuple[str, str]:
    """What is stored of them: (mailed, copied)."""
    return token_hash(links.mailed), token_hash(links.copied)


def mailed_token(invitation: Invitation) -> str | None:
    """The token for the mail; None when SECRET_KEY is another one than when the links were made."""
    token = links_of(invitation).mailed
    return token if hmac.compare_digest(token_hash(token), invitation.mailed_hash) else None


def find(token: str) -> Found | None:
    """The invitation behind a link, whatever its state; None for what never was or was replaced by a newer one."""
    hashed = token_hash(token)
    rows = Invitation.objects.with_inviter().select_related("workspace", "accepted_by")
    invitation = rows.filter(mailed_hash=hashed).first()
    if invitation is not None:
        return Found(invitation, proves_address=True)
    invitation = rows.filter(copied_hash=hashed).first()
    return Found(invitation, proves_address=False) if invitation else None
