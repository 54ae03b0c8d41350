"""Moving a metadata database to another runtime: Airflow is stopped, the database is copied, a Job migrates
it, and what runs is rolled. When the Job fails the copy is put back and UpgradeFailed says why.

Each call finds by itself how far an earlier one came: the comments on the databases say which runtime their tables are
of, and a Job that is there after the copy was made belongs to this upgrade.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from deployments.dataplane.contract import UNDER_WAY, UPGRADE_STEP, Outcome, Progress, UpgradeFailed
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.transport import Json
from deployments.dataplane.kubernetes.health import pods, signals
from deployments.dataplane.kubernetes.objects import inventory as inv
from deployments.dataplane.kubernetes.objects.inventory import Inventory
from deployments.dataplane.kubernetes.steps import jobs, scaling
from deployments.dataplane.kubernetes.target import Target, replicas
from deployments.dataplane.postgres import databases, snapshots
from deployments.domain.spec import Release

STEP = UPGRADE_STEP


def step(
    target: Target,
    release: Release,
    known: Inventory,
    job: Json,
    configure: Callable[[Inventory], Progress | None],
    there: databases.Leftovers | None,
    let_go: Callable[[Inventory], Progress | None],
) -> Progress | None:
    """The next step towards a database of this Release's runtime; None when it is. `configure` applies what the Job
    needs; `let_go` keeps others from starting again what is stopped; `there` is what the database server has, where
    that was just seen. Raises UpgradeFailed."""
    there = there or _found(target)
    if there.snapshot and not there.database:
        _give_back(target)  # a restore that was killed half-way
        there = _found(target)
    if not there.ready or there.migrated_to(release) == release.runtime.version:
        return None
    before = there.migrated_to(release)
    if progress := let_go(known):
        return progress
    if waiting := stopped(target, known):
        return _waiting(release, waiting)
    standing = jobs.look(target.api, job)
    if there.snapshot != before:
        # A Job from an earlier try at the same runtime says nothing about this one.
        if waiting := _forgotten(target):
            return _waiting(release, waiting)
        if not snapshots.take(
            target.admin_url, target.ref.release_name, target.ref.deployment_id, runtime=before
        ):
            return _waiting(release, "Copying the metadata database.")
    return _migrate(target, release, known, job, standing, configure)


def _migrate(
    target: Target,
    release: Release,
    known: Inventory,
    job: Json,
    standing: jobs.JobStanding,
    configure: Callable[[Inventory], Progress | None],
) -> Progress | None:
    name, own = target.ref.release_name, target.ref.deployment_id
    if standing.done:
        snapshots.mark_runtime(target.admin_url, name, own, release.runtime.version)
        return None
    if standing.failed:
        _give_back(target)
        jobs.forget(target.api, job, standing)
        raise UpgradeFailed(standing.sentence)
    if not standing.uid:
        # One of another image or of settings that were changed since: whenever its image can be pulled after all, it
        # would migrate what is there then.
        if waiting := _forgotten(target):
            return _waiting(release, waiting)
        if progress := configure(known):
            return progress
        jobs.begin(target.api, job)
        return _waiting(release, "Migrating the database.")
    return _waiting(release, standing.sentence or "Waiting for an earlier migration Job to end.")


def stopped(target: Target, known: Inventory) -> str:
    """Stop Airflow on the way to something else. What is waited for; "" when no pod is left."""
    workloads = target.workloads()
    up = [w for w in workloads if replicas(w)]
    unmarked = {one: "" if one[1] == "Deployment" else mark for one, mark in known.rendered.items()}
    if up and known.found and (unmarked != dict(known.rendered) or known.digest != UNDER_WAY):
        # First of all: whatever comes next, every workload is applied again.
        inv.write(
            target.api,
            target.ref,
            target.namespace,
            replace(known, rendered=unmarked, digest=UNDER_WAY, applied=""),
        )
    return scaling.stop(target, workloads)


def finish(target: Target, there: databases.Leftovers | None) -> None:
    """Everything answers on the new runtime: the copy and the Job are not needed any more. `there` as in `step`."""
    if (there or _found(target)).snapshot is None:
        return
    _forgotten(target)
    snapshots.drop(target.admin_url, target.ref.release_name, target.ref.deployment_id)


def running(target: Target, job: Json) -> str:
    """What is waited for while a migration runs: it must not be cut off. "" when none does."""
    standing = jobs.look(target.api, job)
    if not standing.uid or standing.done or standing.failed:
        return ""
    return standing.sentence if standing.stuck else "Waiting for the migration of its database to end."


def _forgotten(target: Target) -> str:
    """Delete every migration Job of the Deployment. What is waited for; "" once none of their pods is left either."""
    found = jobs.all_of(target, names.MIGRATION)
    for job in found:
        if "deletionTimestamp" not in job["metadata"]:
            target.api.delete(jobs.path(job), "the migration Job", str(job["metadata"]["uid"]))
    left = [pod for pod in target.pods(names.MIGRATION) if not pods.ended(pod)]
    if late := signals.overdue(((pod, "the migration") for pod in left), datetime.now(UTC)):
        return late.sentence
    return "Waiting for an earlier migration Job to end." if found or left else ""


def _give_back(target: Target) -> None:
    snapshots.restore(target.admin_url, target.ref.release_name, target.ref.deployment_id)


def _found(target: Target) -> databases.Leftovers:
    return databases.find(target.admin_url, target.ref.release_name, target.ref.deployment_id)


def _waiting(release: Release, sentence: str) -> Progress:
    return Progress(STEP if release.upgrade_from else "database", Outcome.WAITING, sentence)
