"""What endpoints of Deployments answer. A field is added, never taken away or narrowed."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from ninja import Schema

from workspaces.api.schemas import Named


class Queue(Schema):
    """A worker queue, and what it did when it was last observed."""

    name: str
    worker_type: str
    min_workers: int
    max_workers: int
    concurrency: int
    workers: int
    queued_tasks: int
    running_tasks: int


class Queues(Schema):
    """All worker queues of a Deployment."""

    items: list[Queue]


class DeploymentRow(Schema):
    """A Deployment as lists have it."""

    release_name: str
    name: str
    workspace: Named
    cluster: Named
    executor: str
    runtime: str
    airflow_version: str
    status: str
    status_sentence: str
    hibernating: bool
    created_at: datetime
    updated_at: datetime
    url: str


class DeploymentOut(DeploymentRow):
    """A Deployment. `generation` grows with each change of what runs; `applied_generation` follows it."""

    description: str
    scheduler_au: int
    scheduler_replicas: int
    wake_when_opened: bool
    worker_queues: list[Queue]
    airflow_url: str | None
    status_since: datetime
    generation: int
    applied_generation: int
    runtime_warning: str
    upgrade_error: str
    created_by: str
    updated_by: str
    deleted_at: datetime | None


class DeploymentPage(Schema):
    """A page of a list."""

    items: list[DeploymentRow]
    next: str | None


class OperationStep(Schema):
    """One step of an operation, as the Deployment's page shows it."""

    key: str
    title: str
    state: Literal["pending", "running", "done", "failed"]
    sentence: str
    started_at: datetime | None
    finished_at: datetime | None


class OperationOut(Schema):
    """Something that was asked for and converges. `running` until it is `done`, `failed` or `superseded` by a later
    change; what cannot be done now is tried again, and `sentence` says why."""

    id: str
    kind: Literal["create", "change", "hibernate", "wake", "upgrade", "delete", "deploy"]
    release_name: str
    status: Literal["running", "done", "failed", "superseded"]
    sentence: str
    deployment_status: str
    steps: list[OperationStep]
    url: str


class Changed(Schema):
    """A Deployment after a change. `operation` is null when nothing has to converge."""

    deployment: DeploymentOut
    operation: OperationOut | None


class Range(Schema):
    """Whole numbers from `minimum` to `maximum`."""

    minimum: int
    maximum: int
    default: int


class Choice(Schema):
    """One value that may be chosen."""

    value: str
    label: str
    default: bool


class ClusterOut(Named):
    """A cluster on which the Workspace may create Deployments."""

    id: UUID
    kind: str


class Clusters(Schema):
    """All of them."""

    items: list[ClusterOut]


class OptionsOut(Schema):
    """What a Deployment on this cluster may be: every choice, limit and default."""

    cluster: ClusterOut
    executors: list[Choice]
    runtimes: list[Choice]
    worker_types: list[Choice]
    scheduler_au: Range
    scheduler_replicas: Range
    min_workers: Range
    max_workers: Range
    concurrency: Range
