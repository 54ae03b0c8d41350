"""Has images looked at, within the passes over their Deployment, and says when one was rolled out.

The data plane does the looking and remembers it by the deploy's key; the row of the deploy says what was found. So a
pass may die anywhere, and the next one goes on.
"""

from datetime import timedelta

import structlog
from django.utils import timezone

from deployments.dataplane.contract import Driver
from deployments.dataplane.images import ImageLook, ImageRefused, ImageWish
from deployments.domain import image_reference
from deployments.domain.deploy_states import DeployStatus
from deployments.models import Deploy, Deployment
from deployments.reconciler.deploy_rows import ref_of
from deployments.secrets import vault

logger = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0  # while an image is pulled
ROLLOUT = timedelta(
    minutes=20
)  # a worker gets ten to finish its tasks, and its successor ten to pull and start


def look(deployment: Deployment, driver: Driver, deploy: Deploy) -> ImageLook:
    """How far looking at the image of this deploy is. Raises ImageRefused and DataPlaneError."""
    checker = driver.images(ref_of(deployment))
    if checker is None:
        raise ImageRefused("On this cluster Airflow runs without images.")
    key = deploy.idempotency_key.hex
    found = checker.look(ImageWish(key, deploy.image, deployment.runtime.spec, vault.read(deployment)))
    if found.pinned:
        logger.info("image_found_fit", deploy=deploy.number, image=found.pinned)
        checker.forget()
    return found


def found_sentence(deployment: Deployment, deploy: Deploy, found: ImageLook) -> str:
    """What the step says once the image was found fit."""
    versions = f"Airflow {found.airflow}, Python {found.python}."
    if found.pinned == deployment.image:
        return f"{versions} It is the image that runs already: {image_reference.short(found.pinned)}."
    return f"{versions} Pinned to {image_reference.short(found.pinned)}: when the tag moves, nothing changes here."


def is_late(deploy: Deploy) -> bool:
    """Whether its components had long enough to come up."""
    return deploy.rollout_until is not None and timezone.now() >= deploy.rollout_until


def before(deploy: Deploy) -> Deploy | None:
    """The deploy to which one goes back when this one's image does not come up; None for the runtime's image alone."""
    earlier = Deploy.objects.filter(
        deployment=deploy.deployment_id, number__lt=deploy.number, status=DeployStatus.DEPLOYED
    )
    return earlier.select_related("manifest").order_by("-number").first()


def given_up(earlier: Deploy | None, reason: str) -> str:
    """Why a deploy whose image does not come up has failed."""
    minutes = int(ROLLOUT.total_seconds() // 60)
    back = f"deploy {earlier.number}" if earlier is not None else "the image of the runtime"
    why = f" {reason}" if reason else ""
    return f"Not every component became ready with this image within {minutes} minutes, so {back} runs again.{why}"
