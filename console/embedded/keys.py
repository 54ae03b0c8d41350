"""The keys of one state folder: made once, each a file of mode 0600, handed on by file name only."""

import base64
import os
import secrets
from collections.abc import Callable

from console import environment
from console.embedded.errors import StartRefused
from console.kit.files import write_private
from deployments.dataplane.local.state_dir import StateDir


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def _password() -> str:
    return secrets.token_urlsafe(32)


# What reads each: settings (SECRET_KEY_FILE, ENCRYPTION_KEYS_FILE), Postgres and Redis.
KEYS: dict[str, Callable[[], str]] = {
    "secret_key": secrets.token_urlsafe,
    "encryption_keys": _fernet_key,
    "postgres_password": _password,
    "redis_password": _password,
}


def ensure(state: StateDir, *, has_data: bool) -> None:
    """Create the missing keys. Raises StartRefused when `has_data` and one is gone, because a new one would not open
    it, and when one is there and cannot be used."""
    missing = [name for name in KEYS if not (state.keys / name).exists()]
    if missing and has_data:
        raise StartRefused(
            f"{state.keys / missing[0]} is missing, without which the data in {state.root} cannot be read: "
            "put it back from a backup or choose another STATE_DIR."
        )
    for name in set(KEYS) - set(missing):
        _check(state, name)
    for name in missing:
        write_private(state.keys / name, KEYS[name]() + "\n")


def _check(state: StateDir, name: str) -> None:
    try:
        text = environment.secret(name, read(state, name))
        if name == "encryption_keys":
            environment.encryption_keys(text)
    except (OSError, ValueError):  # a file that is no text too
        raise StartRefused(
            f"{state.keys / name} is empty or damaged, and the data in {state.root} cannot be used without "
            "it: put it back from a backup or choose another STATE_DIR."
        ) from None


def read(state: StateDir, name: str) -> str:
    """One key, without the newline at its end."""
    return (state.keys / name).read_text().strip()
