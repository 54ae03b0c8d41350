"""What alerts are sent with, and what is left out of them: the sealed address and secret of a webhook, and the values
that no message may hold."""

import structlog

from console.kit import crypto
from deployments.models import AlertChannel, Deployment
from deployments.secrets import vault

logger = structlog.get_logger(__name__)

SHORTEST = 4  # characters; a shorter value would blot out ordinary words
HIDDEN = "•••"


def _context(channel: AlertChannel, name: str) -> str:
    return f"alert-channel:{channel.pk}:{name}"


def seal_url(channel: AlertChannel, url: str) -> None:
    """Put the address of a webhook on its row, which the caller saves."""
    channel.sealed_url = crypto.encrypt(url, context=_context(channel, "url"))


def seal_secret(channel: AlertChannel, secret: str) -> None:
    """Put the secret of a webhook on its row, which the caller saves."""
    channel.sealed_secret = crypto.encrypt(secret, context=_context(channel, "secret"))


def url_of(channel: AlertChannel) -> str:
    """The address in the clear. Raises DecryptionError."""
    assert channel.sealed_url is not None  # noqa: S101 - of a webhook
    return crypto.decrypt(channel.sealed_url, context=_context(channel, "url"))


def secret_of(channel: AlertChannel) -> str:
    """The secret in the clear, "" for what is not signed. Raises DecryptionError."""
    if channel.sealed_secret is None:
        return ""
    return crypto.decrypt(channel.sealed_secret, context=_context(channel, "secret"))


def without_secrets(deployment: Deployment, text: str) -> str:
    """The text with every value of the Deployment's variables and secrets replaced: a sentence may quote what a
    program wrote, and a message leaves this console. Where they cannot be opened, nothing is left. Three queries."""
    if not text:
        return text
    try:
        values = [each.value for each in vault.variables_of(deployment).values()]
        generated = vault.every(deployment)
    except crypto.DecryptionError:
        logger.warning("alert_text_left_out", deployment=str(deployment.pk))
        return ""
    for value in sorted({*values, *generated}, key=len, reverse=True):
        for form in {value, *value.splitlines()}:
            if len(form.strip()) >= SHORTEST:
                text = text.replace(form.strip(), HIDDEN)
    return text
