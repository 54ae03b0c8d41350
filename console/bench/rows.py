"""People, sessions and Deployments put straight into the database, for the rows that need no Airflow."""

import uuid
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection, transaction
from django.utils import timezone

from deployments.actions import Choices, QueueChoice, create_deployment
from deployments.clusters.options import options_for
from deployments.domain.names import name_key
from deployments.domain.states import Executor, Status
from deployments.models import Cluster, Deployment, ReleaseName, RuntimeRelease
from deployments.reconciler import leases, recording
from deployments.reconciler.plan import Verdict
from deployments.reconciler.recording import Record
from workspaces.actions import workspaces
from workspaces.models import Membership, User, Workspace
from workspaces.permissions import Role

FAR = timedelta(days=365)  # the reconciler leaves these rows alone
PREFIX = "bench-row-"  # a release name's shape, so that the observer may ask the data plane for them


def make_workspace(people: int) -> tuple[Workspace, list[str]]:
    """A Workspace with `people` members, and a session cookie for each."""
    token = uuid.uuid4().hex[:8]
    users = [User.objects.create_user(f"{token}-{n}@example.org", name=f"Person {n}") for n in range(people)]
    workspace = workspaces.create_workspace(by=users[0], name=f"Bench {token}")
    Membership.objects.bulk_create(
        Membership(workspace=workspace, user=user, role=Role.EDITOR) for user in users[1:]
    )
    return workspace, [f"{settings.SESSION_COOKIE_NAME}={_session(user)}" for user in users]


def _session(user: User) -> str:
    session = SessionStore()
    session["_auth_user_id"] = str(user.pk)
    session["_auth_user_backend"] = settings.AUTHENTICATION_BACKENDS[0]
    session["_auth_user_hash"] = user.get_session_auth_hash()
    session.create()
    assert session.session_key is not None
    return session.session_key


def make_deployments(workspace: Workspace, count: int, first: int = 0) -> list[Deployment]:
    """Healthy rows that no worker reconciles, by name; numbered from `first` on, for several Workspaces."""
    cluster, runtime = Cluster.objects.get(), RuntimeRelease.objects.all()[0]
    user = workspace.members.all()[0]
    now = timezone.now()
    rows = [
        Deployment(
            workspace=workspace,
            release_name=f"{PREFIX}{number:04d}",
            idempotency_key=uuid.uuid4(),
            name=f"Deployment {number:04d}",
            name_key=name_key(f"Deployment {number:04d}"),
            description="Nightly loads of the warehouse.",
            cluster=cluster,
            runtime=runtime,
            executor=Executor.LOCAL if number % 2 else Executor.CELERY,
            scheduler_au=5,
            scheduler_replicas=1,
            created_by=user,
            updated_by=user,
            status=Status.HEALTHY,
            first_healthy_at=now,
            due_at=now + FAR,
        )
        for number in range(first, first + count)
    ]
    ReleaseName.objects.bulk_create(ReleaseName(name=row.release_name) for row in rows)
    return Deployment.objects.bulk_create(rows)


def ask_for(
    workspace: Workspace, cluster: Cluster, name: str, executor: Executor = Executor.CELERY
) -> Deployment:
    """Ask for a Deployment, as the form does, with its defaults."""
    options = options_for(cluster)
    choices = Choices(
        name=name,
        description="",
        cluster=cluster,
        runtime=options.runtimes[0],
        executor=executor,
        scheduler_au=5,
        scheduler_replicas=1,
        queue=QueueChoice(options.worker_types[0], 1, 10, 16) if executor is Executor.CELERY else None,
    )
    by = workspace.members.all()[0]
    return create_deployment(workspace=workspace, by=by, idempotency_key=uuid.uuid4(), choices=choices)


def remove_deployments() -> None:
    """Every row made here."""
    Deployment.objects.filter(release_name__startswith=PREFIX).delete()
    ReleaseName.objects.filter(name__startswith=PREFIX).delete()


def change(deployment: Deployment, word: Status, reason: str) -> float:
    """Record a status as a worker does, and return the moment (epoch seconds) just after its COMMIT, before
    anything is rendered or published."""
    stamps: list[float] = []
    try:
        with transaction.atomic():
            transaction.on_commit(partial(_stamp, stamps))
            row = Deployment.objects.select_related("cluster", "runtime", "workspace").get(pk=deployment.pk)
            claim = leases.Claim(row, row.lease_epoch, row.due_at)
            recording.record(claim, Record(Verdict(word, reason), next_look=FAR.total_seconds()))
    finally:
        connection.close()
    return stamps[0]


def _stamp(stamps: list[float]) -> None:
    stamps.append(timezone.now().timestamp())
