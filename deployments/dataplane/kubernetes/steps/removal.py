"""Leaving nothing of a Deployment: what scales, the pods, the namespace with all in it, the code, the database, the
role.

A finalizer that holds something is a person's promise to clean up elsewhere: it is named and never stripped.
"""

import math
import re
from datetime import UTC, datetime
from functools import partial

from console.kit.wording import counted
from deployments.dataplane.contract import DataPlaneError, Outcome, Progress
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import path_of
from deployments.dataplane.kubernetes.api.transport import Json
from deployments.dataplane.kubernetes.manifests.autoscaling import GROUP as KEDA
from deployments.dataplane.kubernetes.names import component_of
from deployments.dataplane.kubernetes.objects import inventory
from deployments.dataplane.kubernetes.steps import template_database
from deployments.dataplane.kubernetes.target import Target, replicas, true_condition
from deployments.dataplane.kubernetes.text import clause, moment
from deployments.dataplane.postgres import code_schema, databases

END_SECONDS = 30  # what a pod gets to end, as by the cluster's own default
ENOUGH_SECONDS = 1.0  # of the call's budget, for one pod
STUCK_SECONDS = 120.0  # after this, a namespace that is still there waits for a person
# As the namespace controller writes: "configmaps. has 1 resource instances", "example.org/x in 1 resource instances".
CONTENT = re.compile(r"([a-z][a-z0-9.-]*[a-z0-9])\.? has (\d+) resource instances")
FINALIZER = re.compile(r"(\S+) in \d+ resource instances")
# What the namespace controller says, in the order in which it helps.
FINALIZERS_HOLD, CONTENT_REMAINS = "NamespaceFinalizersRemaining", "NamespaceContentRemaining"
BLOCKERS = (
    FINALIZERS_HOLD,
    CONTENT_REMAINS,
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
)


def step(target: Target) -> Progress:
    """The next step towards nothing left."""
    namespace = target.own_namespace()
    if namespace is not None:
        if "deletionTimestamp" in namespace["metadata"]:
            return _ending(target, namespace)
        return _quiet(target) or _end_pods(target) or _delete(target, namespace)
    if inventory.read(target.api, target.ref, target.namespace).found:
        raise DataPlaneError(
            f"Namespace {target.namespace} lost the label {names.LABEL_DEPLOYMENT}={target.ref.deployment_id}, without "
            "which Airdeck removes no namespace. Put the label back, or remove the namespace."
        )
    name, admin_url = databases.database_name(target.ref.release_name), target.admin_url
    if code_schema.drop(admin_url, target.ref.release_name, target.ref.deployment_id):
        return Progress("code", Outcome.PROGRESSED, "Dropped its stored code.")
    if databases.drop_database(admin_url, target.ref.release_name, target.ref.deployment_id):
        return Progress("database", Outcome.PROGRESSED, f"Dropped database {name}.")
    databases.drop_role(admin_url, target.ref.release_name, target.ref.deployment_id)
    template_database.discard_unfinished(target)
    return Progress("role", Outcome.FINISHED, "Nothing is left.")


def _quiet(target: Target) -> Progress | None:
    """No new task starts, and KEDA has let go: its finalizer would hold the namespace for half an hour."""
    for workload in target.workloads():
        if component_of(workload) == names.SCHEDULER and replicas(workload):
            target.scale(workload, 0, names.SCALER)
    scaled = target.api.items(target.path(KEDA, "ScaledObject"), "its ScaledObjects")
    for one in scaled:
        if "deletionTimestamp" not in one["metadata"]:
            name = str(one["metadata"]["name"])
            target.api.delete(
                target.path(KEDA, "ScaledObject", name), f"ScaledObject {name}", one["metadata"]["uid"]
            )
    if not scaled or not target.api.items(target.path(KEDA, "ScaledObject"), "its ScaledObjects"):
        return None
    held = sorted({clause(f, 100) for one in scaled for f in one["metadata"].get("finalizers") or ()})
    text = f"Deletion waits for {counted(len(scaled), 'ScaledObject')}"
    return Progress(
        "components", Outcome.WAITING, f"{text} with finalizer {', '.join(held)}." if held else f"{text}."
    )


def _end_pods(target: Target) -> Progress | None:
    """Every pod gets half a minute, whatever its own grace: no one can use what its tasks would finish. Before the
    namespace is deleted, because the cluster looks again at the pods of one that ends only after half of their grace,
    which for workers is five minutes and may be hours."""
    for workload in target.workloads():
        if replicas(workload):
            target.scale(workload, 0, names.SCALER)
    ending = [pod for pod in target.pods() if not _overdue(pod)]
    asked = (one["metadata"] for one in ending)
    sends = {
        meta["uid"]: partial(
            target.api.delete,
            target.path("v1", "Pod", meta["name"]),
            f"pod {meta['name']}",
            meta["uid"],
            grace=END_SECONDS,
        )
        for meta in asked
        if meta.get("deletionGracePeriodSeconds", math.inf) > END_SECONDS
    }
    # There may be thousands, of tasks. Those for which this call has no time are left to the next one.
    target.api.lanes.each(sends, left=lambda: target.api.left - ENOUGH_SECONDS)
    if not ending:
        return None
    text = f"Waiting for {counted(len(ending), 'pod')} to end."
    return Progress("components", Outcome.WAITING, text)


def _overdue(pod: Json) -> bool:
    """Whether it should have ended long ago: its node does not answer, and the namespace will say so."""
    until = moment(pod["metadata"].get("deletionTimestamp"))
    return until is not None and (datetime.now(UTC) - until).total_seconds() > END_SECONDS


def _delete(target: Target, namespace: Json) -> Progress:
    path = path_of("v1", "Namespace", "", target.namespace)
    target.api.delete(path, f"namespace {target.namespace}", str(namespace["metadata"]["uid"]))
    return Progress(
        "namespace", Outcome.PROGRESSED, f"Asked the cluster to remove namespace {target.namespace}."
    )


def _ending(target: Target, namespace: Json) -> Progress:
    """What the namespace waits for; an error once that is more than pods that finish what they do."""
    why = blocker(namespace)
    stuck = any(true_condition(namespace, kind) for kind in BLOCKERS if kind != CONTENT_REMAINS)
    since = moment(namespace["metadata"].get("deletionTimestamp")) or datetime.now(UTC)
    if stuck and (datetime.now(UTC) - since).total_seconds() > STUCK_SECONDS:
        raise DataPlaneError(
            f"Namespace {target.namespace} cannot end. {why} Remove what holds it in the cluster."
        )
    message = why or f"Waiting for namespace {target.namespace} to end."
    return Progress("namespace", Outcome.WAITING, message)


def blocker(namespace: Json) -> str:
    """What the cluster says keeps the namespace, in a sentence; "" when it says nothing."""
    message = {
        kind: str(one.get("message", "")) for kind in BLOCKERS if (one := true_condition(namespace, kind))
    }
    left = CONTENT.findall(message.get(CONTENT_REMAINS, ""))
    held = FINALIZER.findall(message.get(FINALIZERS_HOLD, ""))
    if left:
        kinds = ", ".join(f"{clause(kind, 100)} ({count})" for kind, count in left[:5])
        by = f" with finalizer {', '.join(clause(name, 100) for name in held[:5])}" if held else ""
        return f"Deletion waits for {kinds}{by}."
    text = "; ".join(clause(one, 300) for one in message.values())
    return f"Deletion waits: {text}." if text else ""
