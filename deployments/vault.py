"""The generated secrets of a Deployment: made once, encrypted at rest, read only to hand them to a driver."""

import secrets as stdlib_secrets
from collections.abc import Callable

from cryptography.fernet import Fernet

from console.kit import crypto
from deployments.models import Deployment, DeploymentSecret
from deployments.spec import Secrets

ADMIN_USERNAME = "admin"

GENERATORS: dict[str, Callable[[], str]] = {
    "fernet_key": lambda: Fernet.generate_key().decode(),
    "jwt_secret": lambda: stdlib_secrets.token_urlsafe(64),  # Airflow wants 64 characters or more
    "api_secret_key": lambda: stdlib_secrets.token_urlsafe(48),
    "database_password": lambda: stdlib_secrets.token_urlsafe(24),
    "redis_password": lambda: stdlib_secrets.token_urlsafe(24),
    "admin_password": lambda: stdlib_secrets.token_urlsafe(15),
}


def _place(deployment: Deployment, name: str) -> str:
    return f"deployment:{deployment.pk}:{name}"


def generate(deployment: Deployment) -> None:
    """Make and seal every secret. Call once, in the transaction that creates the Deployment."""
    DeploymentSecret.objects.bulk_create(
        DeploymentSecret(
            deployment=deployment, name=name, sealed=crypto.encrypt(make(), place=_place(deployment, name))
        )
        for name, make in GENERATORS.items()
    )


def read(deployment: Deployment) -> Secrets:
    """Every secret in the clear. Raises DecryptionError; KeyError never, because `generate` made them all."""
    rows = {row.name: row.sealed for row in deployment.secrets.all()}
    return Secrets(
        **{name: crypto.decrypt(rows[name], place=_place(deployment, name)) for name in GENERATORS}
    )


def admin_password(deployment: Deployment) -> str:
    """The Airflow login's password alone."""
    row = deployment.secrets.get(name="admin_password")
    return crypto.decrypt(row.sealed, place=_place(deployment, "admin_password"))


def forget(deployment: Deployment) -> None:
    """Remove every secret: the Deployment is gone."""
    deployment.secrets.all().delete()
