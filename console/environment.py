"""What an operator writes into the environment, read and checked. Every ValueError is one sentence."""

import ipaddress
import re
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from environs import Env

from console.kit.keepalives import KEEPALIVES
from console.kit.postgres.pool import pool_options

STATEMENT_TIMEOUT_MS = 5000
SHORTEST_SECRET_KEY = 32  # characters; make_keys makes twice as many
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


def allowed_hosts(env: Env, default: list[str], *, serves: bool) -> list[str]:
    """ALLOWED_HOSTS. Raises ValueError when there is none and this process `serves` people: each would get a 400."""
    found = hosts(env.list("ALLOWED_HOSTS", default))
    if serves and not found:
        raise ValueError(
            "ALLOWED_HOSTS is empty: name the hosts under which people reach the console, by comma, such as "
            "airdeck.example.org."
        )
    return found


def _is_ipv6(host: str) -> bool:
    try:
        return host[:1] + host[-1:] == "[]" and ipaddress.IPv6Address(host[1:-1]) is not None
    except ValueError:
        return False


def number[N: (int, float)](
    env: Env, name: str, default: N, *, least: float, most: float, why: str = ""
) -> N:
    """A number with which the console works. Raises ValueError for another one; `why` says what it would break."""
    read: Any = env.float if isinstance(default, float) else env.int
    value: N = read(name, default)
    if not least <= value <= most:
        because = f" {why}" if why else ""
        raise ValueError(f"{name} is {value}: write a number from {least:g} to {most:g}.{because}")
    return value


def lease(env: Env, *, task_limit: int) -> float:
    """LEASE_SECONDS. Raises ValueError for one that ends before a task does."""
    why = f"A task may take {task_limit} s, and no other one may claim its Deployment before it is dead."
    return number(env, "LEASE_SECONDS", 60.0, least=task_limit + 1, most=3600, why=why)


def log_options(env: Env) -> dict[str, Any]:
    """LOG_FORMAT and LOG_LEVEL, as `logs.logging_config` takes them. Raises ValueError."""
    form = one_of("LOG_FORMAT", env.str("LOG_FORMAT", "json"), "json", "plain")
    level = env.str("LOG_LEVEL", "INFO").upper()
    return {"json": form == "json", "level": one_of("LOG_LEVEL", level, "DEBUG", "INFO", "WARNING", "ERROR")}


def one_of(name: str, value: str, *known: str) -> str:
    """One of the words that are known. Raises ValueError for another one."""
    if value not in known:
        raise ValueError(f"{name} is {value[:60]!r}: write one of {', '.join(known)}.")
    return value


def base_url(env: Env, *, hosts: list[str], port: int) -> str:
    """BASE_URL: scheme and host, and a port if it is not the usual one; by default that of the first of the hosts, over
    HTTPS, and without any that of this machine. Raises ValueError."""
    host = hosts[0].lstrip(".*") if hosts else ""
    text: str = env.str("BASE_URL", f"https://{host}" if host else f"http://127.0.0.1:{port}")
    try:
        parts = urlsplit(text)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound or "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(
            f"BASE_URL is {text[:100]!r}: write the address at which people reach the console, such as "
            "https://airdeck.example.org, without a path."
        )
    return text.rstrip("/")


def oidc_only(env: Env, *, url: str) -> bool:
    """OIDC_ONLY. Raises ValueError where there is no provider: what was to be closed would stay open."""
    only: bool = env.bool("OIDC_ONLY", False)
    if only and not url:
        raise ValueError(
            "OIDC_ONLY closes every way in but the company account, and OIDC_URL names none. Set it, or leave "
            "OIDC_ONLY out."
        )
    return only


def secret(name: str, text: str) -> str:
    """A secret that must be there, stripped. Raises ValueError when it is empty."""
    if not text.strip():
        raise ValueError(f"{name} is empty. Set it, or let {name}_FILE name a file that holds it.")
    return text.strip()


def secret_key(text: str) -> str:
    """SECRET_KEY. Raises ValueError for one that can be guessed."""
    text = secret("SECRET_KEY", text)
    if len(text) < SHORTEST_SECRET_KEY or len(set(text)) < 5 or text.startswith("django-insecure-"):
        raise ValueError(
            "SECRET_KEY is too easy to guess: take a random one of 50 characters. `manage.py make_keys` prints one."
        )
    return text


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
            "REDIS_URL cannot be read: write redis://:password@host:6379/0, rediss://… for TLS, or "
            "unix://:password@/path, special characters of the password as %XX."
        )
    return url


def broker_tls(url: str) -> dict[str, Any] | None:
    """How Celery speaks to Redis by TLS: the server's certificate is checked, as it is for events, unless the URL says
    otherwise (`?ssl_cert_reqs=none`). Celery by itself would take any."""
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED} if url.startswith("rediss://") else None


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
    port = number(env, "EMAIL_PORT", 587, least=1, most=65535)
    user, password = env.str("EMAIL_USER", ""), env.str("EMAIL_PASSWORD", "").strip()
    if bool(user) != bool(password):
        raise ValueError(
            "EMAIL_USER and EMAIL_PASSWORD are the login at the mail server, and one of them is empty: without both "
            "there would be none. Set both, or neither."
        )
    return {
        "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "OPTIONS": {
            "host": env.str("EMAIL_HOST"),
            "port": port,
            "username": user,
            "password": password,
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


def identity_key(env: Env) -> str:
    """IDENTITY_KEY, or "". Raises ValueError, without the text."""
    text: str = env.str("IDENTITY_KEY", "")
    return rsa_key(secret("IDENTITY_KEY", text)) if text else ""


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
