"""What an operator writes into the environment, read and checked. Every ValueError is one sentence."""

import ipaddress
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from environs import Env

from console.kit.keepalives import KEEPALIVES
from console.kit.postgres.pool import pool_options

STATEMENT_TIMEOUT_MS = 5000
WEB_STATEMENT_TIMEOUT_MS = 2100  # a page is answered within 3 s: console/kit/postgres
_FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
_NAME = re.compile(r"\*|\.?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


def hosts(entries: Iterable[str]) -> list[str]:
    """ALLOWED_HOSTS without the blanks around its entries. Raises ValueError for an entry that no Host header could
    ever match."""
    found = [entry.strip().lower() for entry in entries if entry.strip()]
    for host in found:
        if not _NAME.fullmatch(host) and not _is_ipv6(host):
            raise ValueError(
                f"ALLOWED_HOSTS holds {host[:100]!r}, which is not a host name. Write names by comma, without "
                "scheme, port, path or quotes: airdeck.example.org, or .example.org for all names below it."
            )
    return found


def _is_ipv6(host: str) -> bool:
    try:
        return host[:1] + host[-1:] == "[]" and ipaddress.IPv6Address(host[1:-1]) is not None
    except ValueError:
        return False


def secret(name: str, text: str) -> str:
    """A secret that must be there, stripped. Raises ValueError when it is empty."""
    if not text.strip():
        raise ValueError(f"{name} is empty. Set it, or let {name}_FILE name a file that holds it.")
    return text.strip()


def encryption_keys(text: str) -> list[str]:
    """ENCRYPTION_KEYS by comma or line. Raises ValueError when there is none, or one that is no Fernet key."""
    found = [key.strip() for key in text.replace("\n", ",").split(",") if key.strip()]
    if not found or not all(_FERNET_KEY.fullmatch(key) for key in found):
        raise ValueError(
            "ENCRYPTION_KEYS must hold Fernet keys of 44 characters each, by comma or line. Put back those by which "
            "the secrets were encrypted."
        )
    return found


def database_url(url: str) -> dict[str, Any]:
    """DATABASE_URL in Django's parts. Raises ValueError, without the URL: it holds a password, and what is read of a
    broken one may be a part of it."""
    try:
        config: dict[str, Any] = dict(dj_database_url.parse(url))
    except ValueError:  # what this package raises, too
        config = {}
    if config.get("ENGINE") != "django.db.backends.postgresql" or not (
        config.get("NAME") or config.get("OPTIONS", {}).get("service")
    ):
        raise ValueError(
            "DATABASE_URL cannot be read: write postgresql://user:password@host/name, special characters of the "
            "password as %XX."
        )
    return config


def database(url: str, *, role: str, pool: int) -> dict[str, Any]:
    """The one database, as Django wants it for a process of this role; `pool` is how many connections the web process
    has. Raises ValueError, without the URL."""
    config = database_url(url)
    options: dict[str, Any] = config.setdefault("OPTIONS", {})
    web = role == "web"
    milliseconds = WEB_STATEMENT_TIMEOUT_MS if web else STATEMENT_TIMEOUT_MS
    # What the URL asks of the server stays; of two values of one setting the last one counts.
    ours = f"-c statement_timeout={milliseconds} -c lock_timeout=2000"
    options["options"] = f"{options.get('options', '')} {ours}".strip()
    options.setdefault("connect_timeout", 2 if web else 5)
    for name, value in KEEPALIVES.items():
        options.setdefault(name, value)
    if web:
        config["ENGINE"] = "console.kit.postgres"
        options["pool"] = pool_options(pool)
    else:
        config["CONN_MAX_AGE"] = 600 if role in {"worker", "beat", "observer"} else 0
    config["CONN_HEALTH_CHECKS"] = True
    return config


def redis_url(url: str) -> str:
    """REDIS_URL. Raises ValueError, without the URL."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"redis", "rediss", "unix"} and not parts.fragment and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(
            "REDIS_URL cannot be read: write redis://:password@host:6379/0 or unix://:password@/path, special "
            "characters of the password as %XX."
        )
    return url


def mail_encryption(port: int, *, starttls: bool) -> dict[str, bool]:
    """How a connection to the mail server is encrypted. Port 465 is TLS from the first byte (RFC 8314, 3.3), any other
    port STARTTLS if asked for."""
    return {"use_ssl": port == 465, "use_tls": starttls and port != 465}


def mailer(env: Env, *, kept_in: Path | None) -> dict[str, Any]:
    """The way of all mail: the server of EMAIL_HOST; without one the folder in which it is kept, or else the log."""
    if not env.str("EMAIL_HOST", ""):
        if kept_in is None:
            return {"BACKEND": "django.core.mail.backends.console.EmailBackend"}
        return {"BACKEND": "console.mailbox.EmailBackend", "OPTIONS": {"folder": kept_in}}
    port = env.int("EMAIL_PORT", 587)
    return {
        "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "OPTIONS": {
            "host": env.str("EMAIL_HOST"),
            "port": port,
            "username": env.str("EMAIL_USER", ""),
            "password": env.str("EMAIL_PASSWORD", "").strip(),
            **mail_encryption(port, starttls=env.bool("EMAIL_TLS", True)),
            "timeout": 5,  # seconds; account mail is sent while its page waits
        },
    }


def openid(env: Env, *, provider_id: str, name: str, url: str) -> dict[str, Any]:
    """The one OpenID Connect provider, as allauth wants it. Raises ValueError for a client without its secret."""
    app = {
        "provider_id": provider_id,
        "name": name,
        "client_id": env.str("OIDC_CLIENT_ID"),
        "secret": secret("OIDC_CLIENT_SECRET", env.str("OIDC_CLIENT_SECRET")),
        "settings": {"server_url": url},
    }
    return {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}}


def rsa_key(text: str) -> str:
    """IDENTITY_KEY: an RSA key in PEM. Raises ValueError for anything else, without the text."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key: object = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey) or key.key_size < 2048:
        raise ValueError(
            "IDENTITY_KEY must be an RSA key in PEM of 2,048 bits or more, without a password. Make one with: "
            "openssl genrsa -out identity.pem 2048, and let IDENTITY_KEY_FILE name it."
        )
    return text
