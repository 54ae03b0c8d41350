"""From rows to the frozen Release that a data plane receives."""

from deployments.domain.code_manifest import CodeVersion
from deployments.domain.reserved_variables import reserved
from deployments.domain.spec import QueueSpec, Release
from deployments.domain.states import Executor
from deployments.domain.variables import takes_effect
from deployments.models import Deployment, WorkerQueue
from deployments.queries.packages import digest_of


def queue_spec(queue: WorkerQueue) -> QueueSpec:
    """One worker queue as a value."""
    return QueueSpec(
        name=queue.name,
        min_workers=queue.min_workers,
        max_workers=queue.max_workers,
        concurrency=queue.concurrency,
        size=queue.worker_type.size,
    )


def release_of(deployment: Deployment, queues: list[WorkerQueue]) -> Release:
    """The Release of the Deployment's desired state. `queues` come with their worker type loaded. One query, and one
    more for one with packages."""
    executor = Executor(deployment.executor)
    variables = list(deployment.variables.all())
    return Release(
        deployment_id=str(deployment.pk),
        release_name=deployment.release_name,
        generation=deployment.generation,
        runtime=deployment.runtime.spec,
        executor=executor,
        scheduler=deployment.scheduler_size,
        scheduler_replicas=deployment.scheduler_replicas,
        queues=tuple(queue_spec(q) for q in queues) if executor is Executor.CELERY else (),
        environment={
            row.key: row.value for row in variables if not row.is_secret and takes_effect(row.key, row.value)
        },
        secret_marks={
            row.key: row.secret_digest for row in variables if row.is_secret and not reserved(row.key)
        },
        hibernating=deployment.hibernating,
        upgrade_from=deployment.upgrade_from.spec if deployment.upgrade_from else None,
        code=CodeVersion(deployment.code_version, deployment.code_manifest, deployment.code_plugins)
        if deployment.code_version
        else None,
        packages=digest_of(deployment, deployment.code_requirements),
        image=deployment.image,
        registry_mark=deployment.registry_mark if deployment.image else "",
        ran_before=deployment.first_healthy_at is not None,
    )
