"""Creating, naming, opening and deleting a Deployment."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from console.kit.refusals import InvalidInput
from deployments.actions.common import MOVED, enqueue_on_commit
from deployments.actions.furnishing import NOTHING, Furnishing, furnish
from deployments.actions.refusals import ClusterClosed, NameTaken, NotNow, WorkspaceGone
from deployments.clusters import connections
from deployments.clusters.options import Options, clusters_for, options_for
from deployments.domain.field_values import FieldValues
from deployments.domain.names import mint_release_name, name_key
from deployments.domain.spec import DEFAULT_QUEUE
from deployments.domain.states import Executor, Status
from deployments.models import Cluster, Deployment, ReleaseName, RuntimeRelease, WorkerQueue, WorkerType
from deployments.secrets import vault
from workspaces import audit
from workspaces.models import User, Workspace


@dataclass(frozen=True)
class QueueChoice:
    """The default worker queue as the form asks for it."""

    worker_type: WorkerType
    min_workers: int
    max_workers: int
    concurrency: int


@dataclass(frozen=True)
class Choices:
    """Everything that the create form decides; `create_deployment` judges it by the cluster's options."""

    name: str
    description: str
    cluster: Cluster
    runtime: RuntimeRelease
    executor: Executor
    scheduler_au: int
    scheduler_replicas: int
    queue: QueueChoice | None  # None unless the executor is Celery

    def problems(self, options: Options) -> dict[str, str]:
        """What is wrong with it, by field."""
        values: FieldValues = {
            "name": self.name,
            "description": self.description,
            "runtime": self.runtime.version,
            "executor": self.executor,
            "scheduler_au": self.scheduler_au,
            "scheduler_replicas": self.scheduler_replicas,
        }
        if self.queue is not None:
            values |= {
                "worker_type": self.queue.worker_type.name,
                "min_workers": self.queue.min_workers,
                "max_workers": self.queue.max_workers,
                "concurrency": self.queue.concurrency,
            }
        return options.problems(values)


def create_deployment(
    *,
    workspace: Workspace,
    by: User,
    idempotency_key: UUID,
    choices: Choices,
    furnishing: Furnishing = NOTHING,
) -> Deployment:
    """A new Deployment, to be provisioned by the reconciler. The same `idempotency_key` twice gives the first
    one again.

    Raises InvalidInput, NameTaken, WorkspaceGone, and ClusterClosed.
    """
    try:
        with transaction.atomic():
            return _create(workspace, by, idempotency_key, choices, furnishing)
    except IntegrityError as error:
        earlier = Deployment.objects.filter(workspace=workspace, idempotency_key=idempotency_key).first()
        if earlier is not None and earlier.name_key == name_key(choices.name):
            return earlier
        if earlier is not None:  # back in the browser, and another name: a further Deployment is meant
            return create_deployment(
                workspace=workspace,
                by=by,
                idempotency_key=uuid4(),
                choices=choices,
                furnishing=furnishing,
            )
        if "deployment_name_once_per_workspace" in str(error):
            raise NameTaken from error
        if not Workspace.objects.filter(pk=workspace.pk).exists():
            raise WorkspaceGone from error
        raise


def _create(
    workspace: Workspace, by: User, idempotency_key: UUID, choices: Choices, furnishing: Furnishing
) -> Deployment:
    connections.lock_for_placement(choices.cluster)
    if not clusters_for(workspace).filter(pk=choices.cluster.pk).exists():
        raise ClusterClosed
    options = options_for(choices.cluster)
    if problems := {**choices.problems(options), **furnishing.problems(options)}:
        raise InvalidInput(problems)
    deployment = Deployment.objects.create(
        workspace=workspace,
        release_name=_mint(),
        idempotency_key=idempotency_key,
        name=choices.name,
        name_key=name_key(choices.name),
        description=choices.description,
        cluster=choices.cluster,
        runtime=choices.runtime,
        executor=choices.executor,
        scheduler_au=choices.scheduler_au,
        scheduler_replicas=choices.scheduler_replicas,
        created_by=by,
        updated_by=by,
        status_reason="Queued. Starting in a few seconds.",
    )
    if choices.queue is not None:
        WorkerQueue.objects.create(
            deployment=deployment,
            name=DEFAULT_QUEUE,
            worker_type=choices.queue.worker_type,
            min_workers=choices.queue.min_workers,
            max_workers=choices.queue.max_workers,
            concurrency=choices.queue.concurrency,
            desired_workers=choices.queue.min_workers,
        )
    vault.generate(deployment)
    furnish(deployment, by, furnishing)
    audit.record(deployment, by, "created", new={"name": choices.name, "executor": choices.executor})
    enqueue_on_commit(deployment)
    return deployment


def _mint() -> str:
    while True:
        row, created = ReleaseName.objects.get_or_create(name=mint_release_name())
        if created:
            return row.name


@transaction.atomic
def delete_deployment(*, deployment: Deployment, by: User) -> Deployment:
    """Ask for the Deployment to go. Desired state: the row says Deleting until nothing is left. Idempotent. Raises
    NotNow when it went to another Workspace since it was read."""
    workspace_id = deployment.workspace_id
    asked = Deployment.objects.filter(
        pk=deployment.pk,
        workspace=workspace_id,
        delete_requested_at__isnull=True,
        deleted_at__isnull=True,
    ).update(
        delete_requested_at=Now(),
        generation=F("generation") + 1,
        updated_at=Now(),
        updated_by=by,
        due_at=Now(),
        status=Status.DELETING,
        status_reason="Queued. Starting in a few seconds.",
        changed_at=Now(),
        status_since=Now(),
        airflow_url="",
    )
    if asked:
        audit.record(deployment, by, "deleted")
        enqueue_on_commit(deployment)
    deployment.refresh_from_db()
    if deployment.workspace_id != workspace_id:
        raise NotNow(MOVED)
    return deployment


@transaction.atomic
def reveal_credential(*, deployment: Deployment, by: User) -> tuple[str, str]:
    """The Airflow login of this Deployment: user name and password. Every look is audited."""
    audit.record(deployment, by, "revealed the Airflow login of")
    return vault.ADMIN_USERNAME, vault.admin_password(deployment)


@transaction.atomic
def retry_now(*, deployment: Deployment, by: User) -> None:
    """Try again at once instead of after the back-off."""
    Deployment.objects.filter(pk=deployment.pk, deleted_at__isnull=True).update(due_at=Now(), failures=0)
    audit.record(deployment, by, "retried")
    enqueue_on_commit(deployment)
