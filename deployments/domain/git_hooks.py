"""Whether a push event proves the secret. One header per kind of Git host. Pure."""

import hashlib
import hmac
from collections.abc import Mapping

BODY_BYTES = 1024 * 1024  # of an event; a push of a thousand commits has a few hundred KiB

# Headers with the HMAC-SHA256 of the body in hex, with or without "sha256=" before it.
SIGNATURES = (
    "X-Hub-Signature-256",  # GitHub
    "X-Hub-Signature",  # Bitbucket
    "X-Gitea-Signature",  # Gitea, Forgejo
    "X-Forgejo-Signature",
    "X-Airdeck-Signature",  # whatever else
)
TOKEN = "X-Gitlab-Token"  # noqa: S105 - a header: GitLab sends the secret itself


def signature(body: bytes, secret: str) -> str:
    """The signature of a body, in hex."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def is_signed(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Whether one of the headers proves the secret. Takes the same time whether it does or not; an empty secret proves
    nothing."""
    expected = signature(body, secret)
    good = False
    for name in SIGNATURES:
        proof = headers.get(name, "").removeprefix("sha256=").lower()
        good |= hmac.compare_digest(proof.encode(), expected.encode())
    good |= hmac.compare_digest(headers.get(TOKEN, "").encode(), secret.encode())
    return good and bool(secret)
