"""Encryption at rest with keys that can be rotated, bound to the place where the ciphertext stands."""

import hashlib
import json
import secrets
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class DecryptionError(Exception):
    """No key opens this ciphertext, or it was moved here from another row or field."""


@cache
def _box(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def box() -> MultiFernet:
    """The configured keys: the first encrypts, all decrypt. Raises ValueError when none is configured."""
    return _box(tuple(settings.ENCRYPTION_KEYS))


def encrypt(text: str, *, context: str) -> bytes:
    """Encrypt `text` for `place` ("deployment:<id>:fernet_key"). Fernet has no associated data, so the place
    is sealed inside and compared when read: a ciphertext copied to another row is refused."""
    return box().encrypt(json.dumps([context, text]).encode())


def decrypt(token: bytes | memoryview, *, context: str) -> str:
    """The text that `encrypt` sealed for `place`. Raises DecryptionError."""
    try:
        sealed_context, text = json.loads(box().decrypt(bytes(token)))
    except (InvalidToken, ValueError) as error:
        raise DecryptionError(f"No configured key opens the secret at {context}.") from error
    if sealed_context != context:
        raise DecryptionError(f"The secret at {context} was sealed for another place.")
    return str(text)


def rotate(token: bytes | memoryview) -> bytes:
    """The same secret under the newest key."""
    return box().rotate(bytes(token))


def random_token(nbytes: int = 32) -> str:
    """A URL-safe random secret of `nbytes` bytes of entropy."""
    return secrets.token_urlsafe(nbytes)


def token_hash(token: str) -> str:
    """What is stored of a random token: its SHA-256. Enough for 128+ bits of entropy; no stretching needed."""
    return hashlib.sha256(token.encode()).hexdigest()
