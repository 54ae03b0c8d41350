"""Questions about the image that a Deployment runs."""

from deployments.clusters import connections
from deployments.models import Deploy, Deployment
from deployments.queries.deploys import desired_deploy


def takes_images(deployment: Deployment) -> bool:
    """Whether its cluster runs images. Raises DataPlaneError when the cluster's settings cannot be read."""
    driver, ref = connections.driver_and_ref(deployment)
    return driver.images(ref) is not None


def has_own(deployment: Deployment, desired: Deploy | None) -> bool:
    """Whether it runs, or is to run, an image of its own."""
    return bool(desired.image) if desired is not None else bool(deployment.image)


def why_no_upgrade(deployment: Deployment) -> str:
    """Why its runtime cannot be upgraded for the sake of its image; "" when it can. One query."""
    if not has_own(deployment, desired_deploy(deployment)):
        return ""
    return (
        f"{deployment.name} runs an image of its own, which has Airflow {deployment.runtime.airflow_version} in it. Go "
        "back to the image of the runtime on the page Deploys, upgrade, and then deploy an image that is built on the "
        "newer Airflow."
    )
