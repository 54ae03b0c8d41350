"""Questions about the deploys of a Deployment."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from deployments.clusters import connections
from deployments.dataplane.code import CodeStore
from deployments.domain.code_manifest import EMPTY, CodeDifference, Manifest, difference
from deployments.domain.deploy_states import DESIRED
from deployments.models import CodeManifest, CodeUpload, Deploy, Deployment, EnvironmentVariable

NO_CODE = (
    "On this cluster code comes with the image of the runtime. Put your DAGs into an image, and have an operator offer "
    "it as a runtime."
)
OWN_BUNDLES_KEY = "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"
OWN_BUNDLES = (
    f"The variable {OWN_BUNDLES_KEY} names DAG bundles of its own, so Airflow would not read what is deployed here. "
    "Delete that variable first."
)


def store_of(deployment: Deployment) -> CodeStore | None:
    """Where its code is; None where code comes with the image. Raises DataPlaneError when the cluster's settings cannot
    be read. Not inside a transaction: what it does is I/O."""
    driver, ref = connections.driver_and_ref(deployment)
    return driver.code(ref)


def takes_code(deployment: Deployment) -> bool:
    """Whether code can be deployed to its cluster."""
    return store_of(deployment) is not None


def why_no_code(deployment: Deployment) -> str:
    """Why nothing can be deployed to it at all; "" when it can."""
    if not takes_code(deployment):
        return NO_CODE
    own = EnvironmentVariable.objects.filter(deployment=deployment, key=OWN_BUNDLES_KEY)
    return OWN_BUNDLES if own.exists() else ""


def desired_deploy(deployment: Deployment) -> Deploy | None:
    """The deploy that it runs or will run: the newest that neither failed nor was superseded."""
    words = [status.value for status in DESIRED]
    return Deploy.objects.filter(deployment=deployment, status__in=words).order_by("-number").first()


def current(deployment: Deployment) -> Deploy | None:
    """The deploy whose code and image are active, or about to be."""
    if deployment.deploy_number is None:
        return None
    found = Deploy.objects.filter(deployment=deployment, number=deployment.deploy_number)
    return found.select_related("deployment").first()


def history(deployment: Deployment) -> QuerySet[Deploy]:
    """All deploys, newest first."""
    return (
        Deploy.objects.filter(deployment=deployment)
        .select_related("deployment", "origin")
        .order_by("-number")
    )


def before(deploy: Deploy) -> Deploy | None:
    """The deploy whose code was active before this one's, or would have been."""
    earlier = Deploy.objects.filter(
        deployment=deploy.deployment_id, number__lt=deploy.number, activated_at__isnull=False
    )
    return earlier.select_related("manifest").order_by("-number").first()


@dataclass(frozen=True)
class Compared:
    """What a deploy did to the code: its own files, and the difference from the deploy before. None where one of both
    is not kept any more."""

    manifest: Manifest | None
    change: CodeDifference | None
    before: Deploy | None


def compared(deploy: Deploy) -> Compared:
    """A deploy beside the one before it. Its manifest is loaded."""
    earlier = before(deploy)
    if deploy.manifest is None:
        return Compared(None, None, earlier)
    mine = deploy.manifest.opened()
    if earlier is None:
        return Compared(mine, difference(EMPTY, mine), None)
    if earlier.manifest is None:
        return Compared(mine, None, earlier)
    return Compared(mine, difference(earlier.manifest.opened(), mine), earlier)


def base_of(deployment: Deployment, folder: Manifest | None) -> tuple[str, Manifest]:
    """What new code is compared with: that of the desired deploy, or, before the first, what is in the DAGs folder. Its
    digest ("" for nothing), and it."""
    newest = desired_deploy(deployment)
    if newest is not None:
        kept = CodeManifest.objects.filter(deployment=deployment, digest=newest.digest).first()
        return newest.digest, kept.opened() if kept else EMPTY
    return (folder.digest, folder) if folder is not None else ("", EMPTY)


def difference_of(upload: CodeUpload) -> CodeDifference:
    """What an upload, with its manifest loaded, changes of what it was compared with."""
    kept = CodeManifest.objects.filter(deployment=upload.deployment_id, digest=upload.base).first()
    return difference(kept.opened() if kept else EMPTY, upload.manifest.opened())


def difference_to(deployment: Deployment, deploy: Deploy) -> CodeDifference | None:
    """What going to the code of this deploy would change of what there is; None when it is not kept."""
    if deploy.manifest is None:
        return None
    return difference(base_of(deployment, None)[1], deploy.manifest.opened())


def upload_for(deployment: Deployment, user_id: int, key: UUID) -> CodeUpload | None:
    """A person's own upload; None when it was another's, or has waited too long."""
    found = CodeUpload.objects.filter(pk=key, deployment=deployment, by_id=user_id)
    return found.select_related("manifest").first()
