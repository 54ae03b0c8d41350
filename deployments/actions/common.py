"""What every change of desired state has in common: one at a time per Deployment, one generation, one hint."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from console.kit import events
from console.kit.database_clock import database_now
from deployments import enqueue
from deployments.actions.refusals import NotNow
from deployments.domain.states import Status
from deployments.models import Deployment, StatusChange
from deployments.queries.editable import why_not_editable
from deployments.queries.releases import release_of
from workspaces.models import User, Workspace

SECRET_AGAIN = timedelta(hours=1)  # for how long the request that made a secret is answered it again
MOVED = "This Deployment was transferred to another Workspace. Open it there to change it."


@contextmanager
def changing(deployment: Deployment, *, by: User | None) -> Iterator[Deployment]:
    """A transaction in which the body changes desired state of the locked, fresh row that it is given.

    When the Release differs afterwards it becomes one new generation: Deploying, due now, hinted after commit. When it
    does not, nothing restarts and no generation is made. The body writes its own audit event, and saves its columns.
    Raises NotNow while the Deployment is being created or deleted, and when it went to another Workspace since the
    caller's row was read: the person who asks was let in by the earlier one. `by` is None when Airdeck itself acts.
    """
    with transaction.atomic():
        row = (
            Deployment.objects.select_for_update(of=("self",))
            .select_related("cluster", "runtime", "workspace", "upgrade_from")
            .get(pk=deployment.pk)
        )
        if row.workspace_id != deployment.workspace_id:
            raise NotNow(MOVED)
        refuse_unless_editable(row)
        before = digest_of(row)
        yield row
        row.refresh_from_db()
        if digest_of(row) != before:
            _next_generation(row, by)


def refuse_unless_editable(deployment: Deployment) -> None:
    """Raise NotNow unless desired state may be changed: it was Healthy once, and no one asked for it to go."""
    if why := why_not_editable(deployment):
        raise NotNow(why)


def digest_of(deployment: Deployment) -> str:
    """The digest of the Release that the rows ask for now."""
    return release_of(deployment, list(deployment.queues.select_related("worker_type"))).digest


def enqueue_on_commit(deployment: Deployment) -> None:
    """Ask a worker to look, once the transaction is committed."""
    transaction.on_commit(partial(enqueue.reconcile, deployment.pk), robust=True)


def _next_generation(row: Deployment, by: User | None) -> None:
    message = "Queued. Starting in a few seconds."
    if row.status != Status.DEPLOYING:
        StatusChange.objects.create(deployment=row, old=row.status, new=Status.DEPLOYING, reason=message)
    Deployment.objects.filter(pk=row.pk).update(
        generation=F("generation") + 1,
        updated_at=Now(),
        updated_by=by or row.updated_by,
        due_at=Now(),
        failures=0,
        status=Status.DEPLOYING,
        status_reason=message,
        status_since=Now(),
        changed_at=Now(),
    )
    enqueue_on_commit(row)


def show_again(*workspaces: Workspace) -> None:
    """Open pages of these Workspaces fetch what they show again."""
    for workspace in workspaces:
        events.publish(f"w:{workspace.pk}", [events.Frame("resync")])


def secret_until() -> datetime:
    """Until when the request that makes a secret now is answered it again. One query."""
    return database_now() + SECRET_AGAIN


def is_answered_again(until: datetime | None) -> bool:
    """Whether that moment, None for never, is not over. One query unless it is None."""
    return until is not None and until > database_now()
