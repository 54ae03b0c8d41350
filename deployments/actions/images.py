"""Images of a Deployment's own: asking for one, going back to the runtime's, and the login of the registry."""

from uuid import UUID

from console.kit.refusals import InvalidInput
from deployments.actions.common import changing, refuse_unless_editable
from deployments.actions.deploy_wishes import DeployWish, ask, made_before
from deployments.actions.refusals import NoImagesHere, NotNow, RuntimesImage
from deployments.domain import image_reference
from deployments.domain.deploy_states import DeploySource
from deployments.models import Deploy, Deployment
from deployments.queries import images
from deployments.queries.deploys import desired_deploy
from deployments.secrets import vault
from workspaces import audit
from workspaces.models import User

USER_LENGTH, PASSWORD_LENGTH = 255, 4096
HOST = "Enter the host name of a registry, such as registry.example.com, with a port where it needs one."
USER = f"Enter the user name of the login, at most {USER_LENGTH} characters, without a colon."
PASSWORD = f"Enter the password or token of the login, at most {PASSWORD_LENGTH:,} characters."


def deploy_image(
    *, deployment: Deployment, by: User, image: str, description: str, idempotency_key: UUID
) -> Deploy:
    """Ask for this image, which is looked at first, or with "" for the runtime's own. The code stays as it is. The same
    `idempotency_key` twice is one deploy, unless that failed. Raises InvalidInput, KeyReused, NoImagesHere,
    NothingToDeploy, RuntimesImage, NotNow and DataPlaneError."""
    wish = DeployWish(None, DeploySource.IMAGE, idempotency_key, description, image=image)
    if (earlier := made_before(deployment, wish)) is not None:
        return earlier
    refuse_unless_editable(deployment)
    if not images.takes_images(deployment):
        raise NoImagesHere
    if deployment.upgrade_from_id is not None:
        raise NotNow("An upgrade is under way. Deploy the image once it has ended.")
    if image:
        try:
            image_reference.read(image)
        except ValueError as error:
            raise InvalidInput({"image": str(error)}) from None
    elif not images.has_own(deployment, desired_deploy(deployment)):
        raise RuntimesImage
    return ask(deployment, by, wish)


def set_registry_login(*, deployment: Deployment, by: User, host: str, user: str, password: str) -> None:
    """Save the login by which images of this Deployment are pulled, in place of the one before. It is sent to that
    registry alone, and never shown again. Restarts nothing. Raises InvalidInput, NoImagesHere and NotNow."""
    refuse_unless_editable(deployment)
    if not images.takes_images(deployment):
        raise NoImagesHere
    problems = {
        "host": "" if image_reference.is_registry(host) else HOST,
        "user": "" if 0 < len(user) <= USER_LENGTH and ":" not in user and user.isprintable() else USER,
        "password": "" if 0 < len(password) <= PASSWORD_LENGTH and password.isprintable() else PASSWORD,
    }
    if found := {field: sentence for field, sentence in problems.items() if sentence}:
        raise InvalidInput(found)
    with changing(deployment, by=by) as row:
        audit.record(row, by, "set the registry login of", new={"registry": host, "user": user})
        row.registry_host, row.registry_user = host, user
        row.registry_mark = vault.keep_registry_password(row, host, user, password)
        row.save(update_fields=["registry_host", "registry_user", "registry_mark"])


def remove_registry_login(*, deployment: Deployment, by: User) -> bool:
    """Forget the login; whether there was one. What runs goes on; a node without the image can no longer pull it.
    Raises NotNow."""
    with changing(deployment, by=by) as row:
        if not row.registry_host:
            return False
        audit.record(row, by, "removed the registry login of", old={"registry": row.registry_host})
        row.registry_host = row.registry_user = row.registry_mark = ""
        row.save(update_fields=["registry_host", "registry_user", "registry_mark"])
        vault.forget_registry_password(row)
    return True
