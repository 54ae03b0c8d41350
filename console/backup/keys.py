"""What a backup holds of keys: their fingerprints. The keys themselves leave only when asked for, to a file."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from console.backup.archive import BackupRefused

HEX = 16  # 64 bits of SHA-256, of a key of 256 random bits: enough to distinguish keys, and no way back


def fingerprint(key: str) -> str:
    """Names a key without revealing it."""
    return hashlib.sha256(b"airdeck key " + key.encode()).hexdigest()[:HEX]


def fingerprints() -> dict[str, list[str]]:
    """Of the keys in use, the first of each first."""
    return {
        "encryption_keys": [fingerprint(key) for key in settings.ENCRYPTION_KEYS],
        "secret_key": [fingerprint(settings.SECRET_KEY)],
    }


def refuse_others(saved: dict[str, list[str]]) -> list[str]:
    """Raise BackupRefused unless every key under which something may be stored is here. Returns notes on what differs
    besides."""
    here = fingerprints()
    missing = [each for each in saved["encryption_keys"] if each not in here["encryption_keys"]]
    if missing:
        raise BackupRefused(
            f"The secrets of this backup are under keys that ENCRYPTION_KEYS does not hold (fingerprint "
            f"{', '.join(missing)}; yours: {', '.join(here['encryption_keys'])}). Add the keys from that time first."
        )
    if saved["secret_key"] != here["secret_key"]:
        return ["SECRET_KEY is another one: links in mails that are under way are void."]
    return []


@contextmanager
def beside(file: Path | None) -> Iterator[None]:
    """The keys as lines of an env file of mode 0600, if one is named; gone again when the block fails, so that the
    next try finds no file in its way. Raises BackupRefused when it is there already or cannot be written."""
    if file is None:
        yield
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BackupRefused(f"{file} is there already. Name another file for the keys.") from None
    except OSError as error:
        raise BackupRefused(f"{file} cannot be written: {error.strerror}.") from None
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(f"SECRET_KEY={settings.SECRET_KEY}\n")
            stream.write(f"ENCRYPTION_KEYS={','.join(settings.ENCRYPTION_KEYS)}\n")
            stream.flush()
            os.fsync(stream.fileno())
        yield
    except BaseException:
        file.unlink(missing_ok=True)
        raise
