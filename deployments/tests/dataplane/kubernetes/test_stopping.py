"""Stopping Airflow for a sleep or an upgrade while the cluster is against it, and changes that it refuses."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from deployments.dataplane.contract import DataPlaneError, Outcome
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import path_of
from deployments.dataplane.kubernetes.steps import jobs
from deployments.domain.states import ComponentState, Executor
from deployments.tests.dataplane.contract import apply_once, converge
from deployments.tests.dataplane.kubernetes.answers import Answer
from deployments.tests.dataplane.kubernetes.store import Place
from deployments.tests.dataplane.kubernetes.words import SCHEDULER, WORKER, api, changed, get

PAUSED = "autoscaling.keda.sh/paused-replicas"
SCALED = ("keda.sh/v1alpha1", "ScaledObject", "worker-default")
WEBHOOK = 'admission webhook "policy.example" denied the request: no'


def worker_pods(harness, case) -> list[dict]:
    found = api(harness).items(path_of("v1", "Pod", harness.namespace(case)))
    return [pod for pod in found if pod["metadata"]["labels"].get(names.LABEL_QUEUE)]


def test_a_pod_on_a_node_that_is_gone_is_named_while_airflow_is_stopped(harness, case) -> None:
    (pod,) = worker_pods(harness, case)
    name, namespace = pod["metadata"]["name"], harness.namespace(case)
    held = path_of("v1", "Pod", namespace, name)
    api(harness).merge(
        held, {"metadata": {"finalizers": ["example/node"]}}, "a pod of a lost node", "kubelet"
    )
    try:
        asleep = changed(case, hibernating=True)
        for _ in range(3):
            apply_once(harness, asleep)
            harness.kubelet.play()
        old = (datetime.now(UTC) - timedelta(minutes=12)).strftime("%Y-%m-%dT%H:%M:%SZ")
        harness.emulator.store.objects[Place("v1", "pods", namespace, name)]["metadata"][
            "deletionTimestamp"
        ] = old
        progress = apply_once(harness, asleep)
        assert progress.outcome is Outcome.WAITING
        assert progress.sentence.startswith(f"Stopping Airflow: Pod {name} of Worker")
        assert progress.sentence.endswith("Its node may be gone: when it is, delete the pod by force.")
        for workload in ("api-server", "redis", "code-server"):  # as a person does who wants it to sleep now
            path = path_of("apps/v1", "Deployment", namespace, workload)
            api(harness).merge(f"{path}/scale", {"spec": {"replicas": 0}}, "it", names.SCALER)
        harness.kubelet.play()
        seen = {one.name: one for one in harness.new_driver().observe(case.ref).components}
        assert seen["worker-default"].state is ComponentState.FAILING
        assert "delete the pod by force" in seen["worker-default"].reason
    finally:
        api(harness).merge(held, {"metadata": {"finalizers": None}}, "it", "kubelet")
    converge(harness, asleep)


@pytest.mark.parametrize("upgrading", [True, False])
def test_keda_lets_go_before_airflow_is_stopped_and_scales_again_afterwards(harness, own, upgrading) -> None:
    runtime = own.release.runtime
    to = (
        changed(own, runtime=replace(runtime, version="3.3-9"), upgrade_from=runtime)
        if upgrading
        else changed(own, hibernating=True)
    )

    def call(case) -> Outcome:
        harness.kubelet.play()
        seen = driver.apply(case.ref, case.release, case.secrets, case.workers)
        assert get(harness, case, SCHEDULER)["spec"]["replicas"] or (
            get(harness, case, SCALED)["metadata"].get("annotations", {}).get(PAUSED) == "0"
        )
        return seen.outcome

    def finish(case) -> None:
        for _ in range(60):
            if call(case) is Outcome.FINISHED:
                return
            driver._for_apply.clear()
        raise AssertionError(driver.observe(case.ref))

    with harness.keda() as driver:
        finish(own)
        assert PAUSED not in get(harness, own, SCALED)["metadata"].get("annotations", {})
        finish(to)
        awake = changed(to, hibernating=False)
        finish(awake)
        assert PAUSED not in get(harness, own, SCALED)["metadata"].get("annotations", {})


@pytest.mark.parametrize("upgrading", [True, False])
@pytest.mark.parametrize("all_of_them", [True, False])
def test_keda_lets_go_of_a_queue_that_is_removed_with_the_same_change(
    harness, own, upgrading, all_of_them
) -> None:
    runtime, queue = own.release.runtime, own.release.queues[0]
    extra = ("keda.sh/v1alpha1", "ScaledObject", "worker-extra")
    two = changed(own, queues=(queue, replace(queue, name="extra", min_workers=2)))
    left = {"executor": Executor.LOCAL, "queues": ()} if all_of_them else {"queues": (queue,)}
    stops = (
        {"runtime": replace(runtime, version="3.3-9"), "upgrade_from": runtime}
        if upgrading
        else {"hibernating": True}
    )
    to = changed(two, **left, **stops)
    with harness.keda() as driver:

        def call(case) -> Outcome:
            harness.kubelet.play()
            driver._for_apply.clear()
            return driver.apply(case.ref, case.release, case.secrets, case.workers).outcome

        def finish(case) -> None:
            for _ in range(60):
                if call(case) is Outcome.FINISHED:
                    return
            raise AssertionError(driver.observe(case.ref))

        finish(two)
        assert get(harness, own, extra)
        while get(harness, own, SCHEDULER)["spec"]["replicas"]:
            assert call(to) is not Outcome.FINISHED
        assert get(harness, own, extra) is None  # it would start two workers again, also while tables change
        present = get(harness, own, SCALED)
        assert present is None if all_of_them else present["metadata"]["annotations"][PAUSED] == "0"
        finish(changed(two, hibernating=False))  # back again half-way: nothing was forgotten
        assert PAUSED not in get(harness, own, extra)["metadata"].get("annotations", {})
        finish(to)
        assert get(harness, own, extra) is None


def test_a_change_that_the_cluster_refuses_keeps_no_worker_from_the_tasks(harness, case) -> None:
    harness.emulator.script(
        "PATCH .*/deployments/scheduler\\?", Answer(status=403, message=WEBHOOK), always=True
    )
    refused = replace(changed(case, scheduler=case.release.scheduler * 2), workers={"default": 3})
    for _ in range(2):
        with pytest.raises(DataPlaneError, match="A policy of the cluster refused Deployment scheduler"):
            harness.bare_driver().apply(refused.ref, refused.release, refused.secrets, refused.workers)
        assert get(harness, case, WORKER)["spec"]["replicas"] == 3


JOB = {
    "metadata": {"name": "migrate-1", "namespace": "ns", "uid": "u"},
    "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]},
}


class Cluster:
    """Answers what is asked about one Job."""

    def __init__(self, pod: dict | None, *warnings: dict, reason: str = "BackoffLimitExceeded") -> None:
        self.job = {**JOB, "status": {"conditions": [{"type": "Failed", "status": "True", "reason": reason}]}}
        self.pod, self.warnings = pod, warnings

    def get(self, path: str, what: str) -> dict:
        return self.job

    def items(self, path: str, what: str, **query: str) -> list[dict]:
        return list(self.warnings) if path.endswith("/events") else [self.pod] if self.pod else []

    def text(self, path: str, what: str, limit: int, **query: str) -> str:
        return "INFO  [alembic.runtime.migration] Running upgrade a -> b, Add a column."


def ended(**status) -> dict:
    limits = {"resources": {"limits": {"memory": "1920Mi"}}}
    return {
        "metadata": {"name": "migrate-1-x"},
        "spec": {"containers": [{"name": "migration", **limits}]},
        "status": {"phase": "Failed", **status},
    }


OUT_OF_MEMORY = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
PULL = {
    "involvedObject": {"kind": "Pod", "name": "migrate-1-x"},
    "reason": "Failed",
    "type": "Warning",
    "message": 'Failed to pull image "example.org/no:such": not found',
}


@pytest.mark.parametrize(
    ("cluster", "sentence"),
    [
        (
            Cluster(ended(containerStatuses=[{"name": "migration", "state": OUT_OF_MEMORY}])),
            "the migration ran out of memory at 1.88 GiB, which is all that it gets",
        ),
        (
            Cluster(ended(reason="Evicted", message="The node was low on resource: ephemeral-storage.")),
            "the node ran out of disk space, so the pod of the migration was evicted",
        ),
        (
            Cluster(None, PULL, reason="DeadlineExceeded"),
            "the migration did not finish in time; the cluster last said of it: Failed to pull image",
        ),
        (Cluster(None, reason="DeadlineExceeded"), "the migration did not finish in time"),
    ],
)
def test_a_migration_that_the_cluster_ended_is_not_blamed_on_its_last_line(cluster, sentence) -> None:
    standing = jobs.look(cluster, JOB)
    assert standing.failed
    assert standing.sentence.startswith(sentence)


def test_a_sleep_that_waits_for_a_migration_says_what_that_waits_for(harness, own, monkeypatch) -> None:
    monkeypatch.setattr(jobs, "QUIET_SECONDS", 0.0)
    harness.kubelet.unpullable = {"example.org/no:such"}
    runtime = own.release.runtime
    newer = changed(
        own, runtime=replace(runtime, version="3.3-9", image="example.org/no:such"), upgrade_from=runtime
    )
    try:
        for _ in range(40):
            harness.kubelet.play()
            if "can't pull example.org/no:such" in apply_once(harness, newer).sentence:
                break
        sentence = apply_once(harness, changed(newer, hibernating=True)).sentence
        assert "can't pull example.org/no:such" in sentence
    finally:
        harness.kubelet.unpullable = set()


def test_a_migration_of_another_image_is_gone_before_the_next_one_begins(harness, own) -> None:
    """Once its image can be pulled after all it would migrate whatever is there then."""
    runtime, namespace = own.release.runtime, harness.namespace(own)

    def images_of_jobs() -> list[str]:
        found = api(harness).items(path_of("batch/v1", "Job", namespace))
        return [one["spec"]["template"]["spec"]["containers"][0]["image"] for one in found]

    def upgraded(image: str):
        return changed(own, runtime=replace(runtime, version="3.3-9", image=image), upgrade_from=runtime)

    harness.kubelet.unpullable = {"example.org/no:such"}
    try:
        while images_of_jobs() != ["example.org/no:such"]:
            apply_once(harness, upgraded("example.org/no:such"))
            harness.kubelet.play()
        corrected = upgraded("example.org/is:there")
        while "example.org/is:there" not in images_of_jobs():
            apply_once(harness, corrected)
            harness.kubelet.play()
        assert images_of_jobs() == ["example.org/is:there"]
    finally:
        harness.kubelet.unpullable = set()
    converge(harness, corrected)
    assert images_of_jobs() == []
