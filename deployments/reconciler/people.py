"""Each Airflow has a list of who may come in, kept true here: whenever that changes, and now and then, since files
and objects get lost.

Level-triggered like the rest: the sweep compares who may come in now with the list that each Airflow has, and makes
the rows due in which that differs. So whatever changes who may (a role, a membership, a blocked account, a suspended
Workspace, a transfer, a sign-out) needs to call nothing here. A sign-in as another than the list says has it written
again (`actions/sign_in.py`): of a role that was raised and lowered between two sweeps these see nothing.
"""

from contextlib import suppress
from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from console.kit.database_clock import database_now
from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable, Driver, Ref
from deployments.models import Deployment
from deployments.queries.people import NO_PEOPLE, digest, people_of
from deployments.reconciler import leases
from deployments.reconciler.leases import Claim
from deployments.secrets import assertions, vault

WRITTEN_AGAIN = timedelta(minutes=10)


def write(claim: Claim, driver: Driver, ref: Ref) -> None:
    """Write the list where this Airflow reads it, if it differs from what was written last or that is long ago. Raises
    DataPlaneError."""
    deployment = claim.deployment
    now = database_now()  # before the rows are read: who comes in later is judged by newer rows
    people = people_of([deployment.workspace_id]).get(deployment.workspace_id, NO_PEOPLE)
    mark, written_at = digest(people), deployment.people_written_at
    if deployment.people_digest == mark and written_at and timezone.now() - written_at < WRITTEN_AGAIN:
        return
    text = assertions.people(
        vault.one(deployment, "sign_in_key"),
        release=deployment.release_name,
        people=people,
        now=now.timestamp(),
    )
    if driver.admit(ref, text):
        # Unless it was cleared in the meantime: a person came in by other rows, of which this list says nothing.
        Deployment.objects.filter(
            pk=deployment.pk, lease_epoch=claim.epoch, people_digest=deployment.people_digest
        ).update(people_digest=mark, people_written_at=Now())


def write_all_the_same(claim: Claim, driver: Driver, ref: Ref, error: DataPlaneError) -> None:
    """Write the list although a step failed with this error: what cannot be applied, which an Editor may ask for, keeps
    no one in an Airflow that goes on. Nothing where the data plane did not answer; never raises."""
    if claim.deployment.signs_in and not isinstance(error, DataPlaneUnreachable):
        with suppress(DataPlaneError):
            write(claim, driver, ref)


def mark_changed() -> int:
    """Make every row due whose Airflow has another list; how many. Rows that fail are left to their own pace."""
    rows = list(
        Deployment.objects.filter(
            signs_in=True,
            failures=0,
            hibernating=False,
            deleted_at__isnull=True,
            delete_requested_at__isnull=True,
        ).values_list("pk", "workspace_id", "people_digest")
    )
    people = people_of(list({workspace for _, workspace, _ in rows}))
    marks = {workspace: digest(found) for workspace, found in people.items()}
    empty = digest(NO_PEOPLE)
    differing = [pk for pk, workspace, written in rows if marks.get(workspace, empty) != written]
    return leases.mark_due(differing, Q(due_at__gt=Now())) if differing else 0
