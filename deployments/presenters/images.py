"""What the pages say of images, as plain values for the templates. Nothing here depends on a role."""

from dataclasses import replace

from deployments.domain import image_reference
from deployments.models import Deploy, Deployment
from deployments.presenters.impact import impact, queues_of
from deployments.queries.releases import release_of

LOOK = (
    "First the cluster pulls the image and looks at it, in a pod that can reach nothing: it must have Airflow "
    "{minor} and run as user 50000. Nothing changes until that is done, or if the image does not fit."
)
REMOVING_LOGIN = ("Pods that start from then on can pull public images alone.",)
DRAIN = "New pods start beside the old ones, which serve until then, and workers finish their tasks first."


def now(deployment: Deployment) -> list[dict[str, str]]:
    """The image that it runs, as labelled values."""
    own = deployment.image
    text = own or deployment.runtime.image or f"apache/airflow:{deployment.runtime.airflow_version}"
    found = [{"label": "Name", "value": text}]
    if not own:
        found[0]["note"] = f"the image of runtime {deployment.runtime.version}"
    return found


def consequences(deployment: Deployment, image: str | None, *, code_stays: bool = True) -> list[str]:
    """What deploying an image does, as the page explains it beforehand: a new one, or with "" that of the runtime."""
    queues = queues_of(deployment)
    present = release_of(deployment, queues)
    target = "another" if image is None else image
    minor = ".".join(deployment.runtime.airflow_version.split(".")[:2])
    sentences = [LOOK.format(minor=minor)] if target else []
    sentences += impact(deployment, queues, replace(present, image=target)).sentences
    if present.image != target:
        sentences.append(DRAIN)
    if deployment.code_version:
        stays = "The deployed code stays active. " if code_stays else ""
        sentences.append(f"{stays}DAGs in the image are not read.")
    elif target:
        sentences.append("No code is deployed, so Airflow reads the DAGs in /opt/airflow/dags of the image.")
    if deployment.hibernating:
        sentences.append(f"{deployment.name} is hibernating. It runs the image when it wakes.")
    return sentences


def going_back(deployment: Deployment, deploy: Deploy) -> list[str]:
    """What going back to an earlier deploy does to the image; nothing where it stays."""
    if deploy.image_pinned == deployment.image:
        return []
    name = image_reference.short(deploy.image_pinned) if deploy.image_pinned else "the image of the runtime"
    head = f"It goes back to {name}."
    return [head, *consequences(deployment, deploy.image_pinned, code_stays=not deploy.digest)]


def facts(deploy: Deploy) -> dict[str, str]:
    """The image of a deploy, for its page and the list."""
    if not deploy.image and not deploy.changes_image:
        return {}
    if not deploy.image:
        return {"name": "that of the runtime", "pinned": ""}
    return {"name": deploy.image, "pinned": deploy.image_pinned}
