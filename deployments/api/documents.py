"""Rows as the documents that endpoints answer."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from console.kit.http_json import etag
from deployments.actions.settings import settings_of
from deployments.api.schemas import DeploymentOut, DeploymentRow, Queue
from deployments.models import AlertChannel, Deployment, WorkerQueue
from workspaces.api.schemas import Named


def queues_of(deployment: Deployment) -> list[WorkerQueue]:
    """Its worker queues, by name. One query."""
    return list(deployment.queues.select_related("worker_type").order_by("name"))


def queue(row: WorkerQueue) -> Queue:
    """A worker queue with its worker type loaded."""
    return Queue(
        name=row.name,
        worker_type=row.worker_type.name,
        min_workers=row.min_workers,
        max_workers=row.max_workers,
        concurrency=row.concurrency,
        workers=row.live_workers,
        queued_tasks=row.queued,
        running_tasks=row.running,
    )


def row(deployment: Deployment) -> DeploymentRow:
    """As lists have it: Workspace, cluster and runtime are loaded."""
    return DeploymentRow.model_construct(**_row(deployment))


def _row(deployment: Deployment) -> dict[str, Any]:
    return {
        "release_name": deployment.release_name,
        "name": deployment.name,
        "workspace": Named.model_construct(id=deployment.workspace_id, name=deployment.workspace.name),
        "cluster": Named.model_construct(id=deployment.cluster_id, name=deployment.cluster.name),
        "executor": deployment.executor,
        "runtime": deployment.runtime.version,
        "airflow_version": deployment.runtime.airflow_version,
        "status": deployment.shown_status.value,
        "status_sentence": deployment.status_reason,
        "hibernating": deployment.hibernating,
        "created_at": deployment.created_at,
        "updated_at": deployment.updated_at,
        "url": f"{settings.BASE_URL}{deployment.url}",
    }


def deployment(found: Deployment, queues: list[WorkerQueue]) -> DeploymentOut:
    """All of it; who made and changed it is loaded, too."""
    return DeploymentOut.model_construct(
        **{
            **_row(found),
            "status_sentence": found.reason,
            "description": found.description,
            "scheduler_au": found.scheduler_au,
            "scheduler_replicas": found.scheduler_replicas,
            "wake_when_opened": found.wakes_on_open,
            "worker_queues": [queue(each) for each in queues],
            "airflow_url": found.airflow_url or None,
            "status_since": found.status_since,
            "generation": found.generation,
            "applied_generation": found.observed_generation,
            "runtime_warning": found.runtime.warning,
            "upgrade_error": found.upgrade_error,
            "created_by": found.created_by.label if found.created_by else "a former member",
            "updated_by": found.updated_by_label,
            "deleted_at": found.deleted_at,
        }
    )


def settings_etag(found: Deployment, queues: list[WorkerQueue]) -> str:
    """The ETag of what PATCH changes: the settings that the edit form shows, and whether opening it wakes it."""
    if found.deleted_at is not None:
        return etag(str(found.pk), "deleted")
    return etag(str(found.pk), settings_of(found, queues), found.wakes_on_open)


def moment(value: datetime | None) -> str | None:
    """RFC 3339, in UTC."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value else None


def channel_etag(channel: AlertChannel) -> str:
    """The ETag of what PATCH of an alert channel changes; its url counts as it is sealed."""
    url = bytes(channel.sealed_url or b"").hex()
    return etag("channel", str(channel.pk), channel.name, channel.addresses, url)
