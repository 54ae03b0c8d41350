"""What the Kubernetes driver prunes, puts back and never touches, whoever else changes what is there."""

from dataclasses import replace

import pytest

from deployments.dataplane.contract import DataPlaneError, Outcome
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import path_of
from deployments.dataplane.kubernetes.objects import drift, inventory
from deployments.dataplane.postgres import databases
from deployments.domain.spec import QueueSpec, au_size
from deployments.domain.states import Executor
from deployments.tests.dataplane.contract import apply_once, converge, new_case, remove
from deployments.tests.dataplane.kubernetes.harness import ADMIN
from deployments.tests.dataplane.kubernetes.words import (
    SCHEDULER,
    WORKER,
    api,
    changed,
    get,
    mark_drift,
    objects,
)

# -- What it prunes, and what it never touches --


def test_removing_a_queue_prunes_exactly_its_objects(harness, case) -> None:
    one = objects(harness, case)
    extra = QueueSpec("heavy", 1, 2, 4, au_size(5))
    two = changed(case, queues=(*case.release.queues, extra))
    converge(harness, replace(two, workers={"default": 1, "heavy": 1}))
    added = objects(harness, case) - one
    assert ("deployments", "worker-heavy") in added
    converge(harness, case)
    assert objects(harness, case) == one


def test_an_object_that_somebody_made_anew_is_not_pruned(harness, case) -> None:
    extra = QueueSpec("heavy", 1, 1, 4, au_size(5))
    both = replace(changed(case, queues=(*case.release.queues, extra)), workers={"default": 1, "heavy": 1})
    converge(harness, both)
    path = path_of("apps/v1", "Deployment", harness.namespace(case), "worker-heavy")
    manifest = {
        k: v
        for k, v in get(harness, case, ("apps/v1", "Deployment", "worker-heavy")).items()
        if k != "status"
    }
    meta = {"name": "worker-heavy", "labels": {"mine": "yes"}}
    api(harness).delete(path, "it")
    api(harness).apply(path, {**manifest, "metadata": meta}, "somebody")
    converge(harness, case)
    assert api(harness).get(path)["metadata"]["labels"] == {"mine": "yes"}


def test_keys_are_never_pruned(harness, case) -> None:
    known = inventory.read(api(harness), case.ref, harness.namespace(case))
    keys = ("v1", "Secret", names.KEYS)
    assert keys in known.rendered
    release = replace(case.release, executor=Executor.LOCAL, queues=())
    converge(harness, replace(case, release=replace(release, generation=2), workers={}))
    assert get(harness, case, keys) is not None
    assert get(harness, case, ("v1", "Secret", names.REDIS_CONFIG)) is None


def test_a_namespace_of_somebody_else_is_neither_adopted_nor_removed(harness) -> None:
    case = new_case()
    path = path_of("v1", "Namespace", "", harness.namespace(case))
    foreign = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": harness.namespace(case), "labels": {"a": "b"}},
    }
    made = api(harness).apply(path, foreign, "somebody")
    with pytest.raises(DataPlaneError, match="was not made for this Deployment"):
        harness.bare_driver().apply(case.ref, case.release, case.secrets, case.workers)
    assert harness.bare_driver().observe(case.ref).leftovers == ()
    assert harness.bare_driver().destroy(case.ref).outcome is Outcome.FINISHED
    assert api(harness).get(path)["metadata"]["uid"] == made["metadata"]["uid"]
    api(harness).delete(path, "it")


# -- Somebody else's changes --


def test_a_foreign_change_is_put_back_and_told(harness, case) -> None:
    path = path_of(*SCHEDULER[:2], harness.namespace(case), SCHEDULER[2])
    evil = {"spec": {"template": {"spec": {"serviceAccountName": "evil"}}}}
    found = api(harness).merge(path, evil, "it", "kubectl-edit")
    known = inventory.read(api(harness), case.ref, harness.namespace(case)).entries["Deployment", "scheduler"]
    judged = drift.judge(known, drift.seen(found))
    assert judged == drift.Drift("Deployment", "scheduler", "kubectl-edit")
    mark_drift(harness, case, judged)
    assert harness.bare_driver().observe(case.ref).drifted
    progress = harness.bare_driver().apply(case.ref, case.release, case.secrets, case.workers)
    assert progress.notices == ("Deployment scheduler was changed by kubectl-edit; it was put back.",)
    back = get(harness, case, SCHEDULER)
    assert back["spec"]["template"]["spec"]["serviceAccountName"] == "scheduler"
    assert not harness.bare_driver().observe(case.ref).drifted
    known = inventory.read(api(harness), case.ref, harness.namespace(case)).entries["Deployment", "scheduler"]
    assert drift.judge(known, drift.seen(back)) is None


def test_a_removed_object_is_made_again(harness, case) -> None:
    path = path_of("v1", "Service", harness.namespace(case), "api-server")
    api(harness).delete(path, "it")
    mark_drift(harness, case, drift.Drift("Service", "api-server", removed=True))
    progress = apply_once(harness, case)
    assert progress.notices == ("Service api-server was removed; it was made again.",)
    assert api(harness).get(path) is not None


def test_drift_that_is_seen_meanwhile_is_not_forgotten(harness, case) -> None:
    first = drift.Drift("Service", "api-server", "a")
    mark_drift(harness, case, first)
    known = inventory.read(api(harness), case.ref, harness.namespace(case))
    mark_drift(harness, case, first, drift.Drift("Service", "redis", "b"))
    with pytest.raises(DataPlaneError):
        inventory.clear_drift(api(harness), harness.namespace(case), known)
    assert harness.bare_driver().observe(case.ref).drifted
    assert len(apply_once(harness, case).notices) == 2
    assert not harness.bare_driver().observe(case.ref).drifted


def test_the_scaler_is_no_stranger(harness, case) -> None:
    converge(harness, replace(case, workers={"default": 3}))
    found = get(harness, case, WORKER)
    known = inventory.read(api(harness), case.ref, harness.namespace(case)).entries[
        "Deployment", "worker-default"
    ]
    assert found["spec"]["replicas"] == 3
    assert drift.judge(known, drift.seen(found)) is None


@pytest.mark.thorough
def test_a_removed_namespace_is_made_again_and_the_database_stays(harness, own) -> None:
    harness.remember(own)
    path = path_of("v1", "Namespace", "", harness.namespace(own))
    api(harness).delete(path, "it")
    observed = harness.new_driver().observe(own.ref)
    assert observed.digest == ""
    converge(harness, own)
    assert harness.remembers(own)


def test_a_namespace_that_lost_its_label_is_not_reported_as_removed(harness, own) -> None:
    path = path_of("v1", "Namespace", "", harness.namespace(own))

    def label(value: str | None) -> None:
        change = {"metadata": {"labels": {names.LABEL_DEPLOYMENT: value}}}
        api(harness).merge(path, change, "its namespace", "somebody")

    label(None)
    with pytest.raises(DataPlaneError, match=r"lost the label .* Put the label back"):
        harness.new_driver().destroy(own.ref)
    assert databases.find(ADMIN, own.ref.release_name, own.ref.deployment_id).ready
    label(own.ref.deployment_id)
    remove(harness, own)
    assert api(harness).get(path) is None
