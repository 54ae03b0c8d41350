"""The secrets of a Deployment, encrypted at rest and read only to hand them to a driver: the generated ones, made once,
and the values of its secret variables."""

import hashlib
import hmac
import json
import secrets as stdlib_secrets
from base64 import b64encode
from collections.abc import Callable, Mapping

from cryptography.fernet import Fernet

from console.kit import crypto
from deployments.domain.image_reference import DOCKER_HUB
from deployments.domain.spec import Secrets
from deployments.domain.variables import Setting, takes_effect
from deployments.models import Deployment, DeploymentSecret, EnvironmentVariable, VariableRevision
from deployments.secrets import assertions

ADMIN_USERNAME = "admin"

GENERATORS: dict[str, Callable[[], str]] = {
    "fernet_key": lambda: Fernet.generate_key().decode(),
    "jwt_secret": lambda: stdlib_secrets.token_urlsafe(64),  # Airflow wants 64 characters or more
    "api_secret_key": lambda: stdlib_secrets.token_urlsafe(48),
    "database_password": lambda: stdlib_secrets.token_urlsafe(24),
    "redis_password": lambda: stdlib_secrets.token_urlsafe(24),
    "admin_password": lambda: stdlib_secrets.token_urlsafe(15),
    "sign_in_key": assertions.new_key,
}


def _context(deployment: Deployment, name: str) -> str:
    return f"deployment:{deployment.pk}:{name}"


def generate(deployment: Deployment) -> None:
    """Make and seal every secret that is not there: all of them in the transaction that creates the Deployment, later
    those that this Airdeck knows and an earlier one did not. Doing so twice at a time makes one of each."""
    there = set(deployment.secrets.values_list("name", flat=True))
    missing = [
        DeploymentSecret(
            deployment=deployment,
            name=name,
            sealed=crypto.encrypt(make(), context=_context(deployment, name)),
        )
        for name, make in GENERATORS.items()
        if name not in there
    ]
    DeploymentSecret.objects.bulk_create(missing, ignore_conflicts=True)


def read(deployment: Deployment) -> Secrets:
    """Every secret in the clear that processes get: of the key of sign-ins the public half. What an earlier Airdeck did
    not make is made. Raises DecryptionError."""
    rows = {row.name: row.sealed for row in deployment.secrets.all()}
    if not rows.keys() >= GENERATORS.keys():
        generate(deployment)
        rows = {row.name: row.sealed for row in deployment.secrets.all()}
    generated = {name: crypto.decrypt(rows[name], context=_context(deployment, name)) for name in GENERATORS}
    generated["sign_in_key"] = assertions.public_half(generated["sign_in_key"])
    secret = {row.key: open_variable(row) for row in deployment.variables.filter(is_secret=True)}
    used = {key: value for key, value in secret.items() if takes_effect(key, value)}
    login = ""
    if deployment.registry_host and REGISTRY_PASSWORD in rows:
        password = crypto.decrypt(rows[REGISTRY_PASSWORD], context=_context(deployment, REGISTRY_PASSWORD))
        login = _registry_document(deployment.registry_host, deployment.registry_user, password)
    return Secrets(**generated, variables=used, registry_login=login)


def _variable_context(deployment_id: object, key: str) -> str:
    return f"deployment:{deployment_id}:variable:{key}"


def seal_variable(deployment: Deployment, key: str, value: str) -> bytes:
    """The value of a secret variable, encrypted for its row."""
    return crypto.encrypt(value, context=_variable_context(deployment.pk, key))


def open_variable(row: EnvironmentVariable) -> str:
    """The value of a secret variable in the clear. Raises DecryptionError."""
    assert row.sealed is not None  # noqa: S101 - secret rows are sealed
    return crypto.decrypt(row.sealed, context=_variable_context(row.deployment_id, row.key))


def secret_digester(deployment: Deployment) -> Callable[[str, str], str]:
    """Makes marks from key and value. A mark is equal for equal values of one variable, and reveals nothing without the
    Deployment's own key."""
    row = deployment.secrets.get(name="api_secret_key")
    own_key = crypto.decrypt(row.sealed, context=_context(deployment, "api_secret_key")).encode()
    return lambda key, value: hmac.new(own_key, f"{key}={value}".encode(), hashlib.sha256).hexdigest()[:32]


def secret_digest(deployment: Deployment, key: str, value: str) -> str:
    """The mark of one secret value; see `marker`."""
    return secret_digester(deployment)(key, value)


def variables_of(deployment: Deployment) -> dict[str, Setting]:
    """Every variable that the user set, secret ones in the clear. One query. Raises DecryptionError."""
    rows = deployment.variables.all()
    return {
        row.key: Setting(open_variable(row) if row.is_secret else row.value, row.is_secret) for row in rows
    }


def _revision_context(deployment: Deployment, number: int) -> str:
    return f"deployment:{deployment.pk}:variables:{number}"


def seal_revision(deployment: Deployment, number: int, values: Mapping[str, Setting]) -> bytes:
    """All variables, encrypted for the revision's row."""
    text = json.dumps({key: [each.value, each.secret] for key, each in values.items()})
    return crypto.encrypt(text, context=_revision_context(deployment, number))


def open_revision(deployment: Deployment, revision: VariableRevision) -> dict[str, Setting]:
    """All variables as the revision left them, in the clear. Raises DecryptionError."""
    text = crypto.decrypt(revision.sealed, context=_revision_context(deployment, revision.number))
    return {key: Setting(*values) for key, values in json.loads(text).items()}


def one(deployment: Deployment, name: str) -> str:
    """One generated secret alone: `sign_in_key` is the private half. Raises DeploymentSecret.DoesNotExist for one that
    no pass has made yet."""
    row = deployment.secrets.get(name=name)
    return crypto.decrypt(row.sealed, context=_context(deployment, name))


def admin_password(deployment: Deployment) -> str:
    """The password of last resort alone."""
    return one(deployment, "admin_password")


REGISTRY_PASSWORD = "registry_password"  # noqa: S105 - a row's name
DOCKER_HUB_KEY = "https://index.docker.io/v1/"  # by which container runtimes look up a login for docker.io


def keep_registry_password(deployment: Deployment, host: str, user: str, password: str) -> str:
    """Seal the password of the registry's login, in place of the one before. A mark of the login, which changes with it
    and reveals nothing."""
    keep_git(deployment, REGISTRY_PASSWORD, password)
    return secret_digest(deployment, REGISTRY_PASSWORD, f"{host}\0{user}\0{password}")


def forget_registry_password(deployment: Deployment) -> None:
    """Remove the sealed password; nothing when there is none."""
    deployment.secrets.filter(name=REGISTRY_PASSWORD).delete()


def _registry_document(host: str, user: str, password: str) -> str:
    """A login as container runtimes read it (dockerconfigjson)."""
    key = DOCKER_HUB_KEY if host == DOCKER_HUB else host
    basic = b64encode(f"{user}:{password}".encode()).decode()
    return json.dumps({"auths": {key: {"username": user, "password": password, "auth": basic}}})


def every(deployment: Deployment) -> list[str]:
    """Every secret in the clear that was generated or entered for it, variables aside. One query. Raises
    DecryptionError."""
    return [
        crypto.decrypt(row.sealed, context=_context(deployment, row.name)) for row in deployment.secrets.all()
    ]


GIT_TOKEN, GIT_KEY, GIT_HOOK = "git_token", "git_key", "git_hook"


def keep_git(deployment: Deployment, name: str, text: str) -> None:
    """Seal one of a Git source's secrets, in place of what there was."""
    sealed = crypto.encrypt(text, context=_context(deployment, name))
    DeploymentSecret.objects.update_or_create(deployment=deployment, name=name, defaults={"sealed": sealed})


def open_git(deployment: Deployment) -> dict[str, str]:
    """A Git source's secrets in the clear, "" where there is none. One query. Raises DecryptionError."""
    names = (GIT_TOKEN, GIT_KEY, GIT_HOOK)
    rows = {row.name: row.sealed for row in deployment.secrets.filter(name__in=names)}
    return {
        name: crypto.decrypt(rows[name], context=_context(deployment, name)) if name in rows else ""
        for name in names
    }


def forget_git(deployment: Deployment, *names: str) -> None:
    """Remove these of a Git source's secrets."""
    deployment.secrets.filter(name__in=names).delete()


def forget(deployment: Deployment) -> None:
    """Remove every secret, and the variables with their revisions: the Deployment is gone."""
    deployment.secrets.all().delete()
    deployment.variables.all().delete()
    deployment.variable_revisions.all().delete()
