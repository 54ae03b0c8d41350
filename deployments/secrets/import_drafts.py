"""Imports that wait to be looked at: what a person pasted, encrypted, for half an hour, one per person and Deployment.

In the database cache, sealed: so that no secret value travels back to the browser between pasting and applying.
"""

import json
from dataclasses import dataclass
from uuid import UUID, uuid4

from django.core.cache import cache

from console.kit import crypto
from deployments.domain.dotenv import Parsed
from deployments.domain.variables import DotenvEntry, RejectedLine
from deployments.models import Deployment
from workspaces.models import User

SECONDS = 30 * 60


@dataclass(frozen=True, repr=False)
class Draft:
    """What was pasted, read, and whether its new variables are to be secret."""

    token: UUID  # of this very paste: another one replaces it
    parsed: Parsed
    secret: bool


def _cache_key(deployment: Deployment, user: User) -> str:
    return f"variables-draft:{deployment.pk}:{user.pk}"


def keep(deployment: Deployment, user: User, parsed: Parsed, *, secret: bool) -> UUID:
    """Keep a draft in place of the person's earlier one for this Deployment; the token that names it."""
    token = uuid4()
    text = json.dumps(
        {
            "token": str(token),
            "secret": secret,
            "entries": [[each.line, each.key, each.value] for each in parsed.entries],
            "refusals": [[each.line, each.key, each.reason] for each in parsed.refusals],
        }
    )
    key = _cache_key(deployment, user)
    cache.set(key, crypto.encrypt(text, context=key), SECONDS)
    return token


def find(deployment: Deployment, user: User, token: UUID) -> Draft | None:
    """The person's own draft; None when it was replaced, applied or has waited too long."""
    key = _cache_key(deployment, user)
    sealed = cache.get(key)
    if sealed is None:
        return None
    try:
        document = json.loads(crypto.decrypt(sealed, context=key))
    except crypto.DecryptionError:  # sealed with a key that is gone
        return None
    if document["token"] != str(token):
        return None
    parsed = Parsed(
        tuple(DotenvEntry(*each) for each in document["entries"]),
        tuple(RejectedLine(*each) for each in document["refusals"]),
    )
    return Draft(token, parsed, document["secret"])


def forget(deployment: Deployment, user: User) -> None:
    """Delete the draft."""
    cache.delete(_cache_key(deployment, user))
