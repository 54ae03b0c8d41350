"""How little the Kubernetes driver asks, how it scales, and where no secret is."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from deployments.dataplane.contract import Component, Outcome
from deployments.dataplane.kubernetes import driver, names
from deployments.dataplane.kubernetes.api.client import path_of
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.manifests import Inputs, render
from deployments.dataplane.kubernetes.objects import inventory
from deployments.dataplane.kubernetes.steps import provision
from deployments.dataplane.postgres import databases
from deployments.domain.spec import QueueSpec, au_size
from deployments.domain.states import ComponentState
from deployments.tests.dataplane.contract import CANARIES, apply_once, converge, new_case
from deployments.tests.dataplane.kubernetes import samples
from deployments.tests.dataplane.kubernetes.harness import ADMIN
from deployments.tests.dataplane.kubernetes.store import Place
from deployments.tests.dataplane.kubernetes.words import SCHEDULER, WORKER, api, calls, changed, get, objects

# -- How little it asks --


def test_creating_costs_a_request_per_object_and_ten_more_at_most(harness, cases) -> None:
    case = new_case()
    cases.append(case)
    subject, deadline = harness.bare_driver(), time.monotonic() + 60
    while True:  # what is made once for a runtime may have to be made first
        since = len(harness.emulator.calls)
        subject.observe(case.ref)
        progress = subject.apply(case.ref, case.release, case.secrets, case.workers)
        if made := objects(harness, case):
            break
        assert time.monotonic() < deadline, progress
        harness.kubelet.play()
        time.sleep(0.1)
    assert ("ingresses", "api-server") in made, progress
    assert len(calls(harness, since)) <= len(made) + 10


def test_an_ingress_without_an_address_is_told(harness) -> None:
    case = harness.running()
    path = path_of("networking.k8s.io/v1", "Ingress", harness.namespace(case), names.API_SERVER)
    target = Place("networking.k8s.io/v1", "ingresses", harness.namespace(case), names.API_SERVER)

    def reported(minutes: int, status: dict) -> tuple[str, float | None]:
        made = (datetime.now(UTC) - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
        harness.emulator.store.objects[target]["metadata"]["creationTimestamp"] = made
        api(harness).merge(f"{path}/status", {"status": {"loadBalancer": status}}, "it", "controller")
        subject = harness.new_driver()
        found = subject.observe(case.ref)
        assert found.ready
        return subject.details(case.ref).get("Address", ""), found.changes_in

    sentence, seconds = reported(1, {})
    assert sentence == "Waiting for the address of the Ingress."
    assert 0 < seconds <= 60  # then the wait has lasted too long, which no watch reports
    sentence, seconds = reported(10, {})
    assert "has had no address since" in sentence
    assert seconds is None  # an address that comes is reported by the watch: nothing else is to be looked for
    assert reported(10, {"ingress": [{"ip": "10.0.0.9"}]}) == ("", None)


def test_a_healthy_deployment_is_observed_with_four_requests(harness) -> None:
    case = harness.running()
    subject, since = harness.new_driver(), len(harness.emulator.calls)
    assert subject.observe(case.ref).ready
    subject.endpoint(case.ref)
    subject.details(case.ref)
    assert len(calls(harness, since)) == 4  # its address among them


def test_applying_what_is_there_sends_nothing(harness) -> None:
    case = harness.running()
    subject, since = harness.new_driver(), len(harness.emulator.calls)
    assert subject.apply(case.ref, case.release, case.secrets, case.workers).outcome is Outcome.FINISHED
    assert {call.split()[0] for call in calls(harness, since)} == {"GET"}


def test_a_driver_that_is_kept_does_not_believe_an_old_look_for_ever(harness, cases, monkeypatch) -> None:
    monkeypatch.setattr(driver, "MEMO_SECONDS", 0.2)
    case, subject = new_case(), harness.bare_driver()
    cases.append(case)
    deadline = time.monotonic() + harness.patience
    while subject.apply(case.ref, case.release, case.secrets, case.workers).outcome is not Outcome.FINISHED:
        assert time.monotonic() < deadline
        harness.kubelet.play()
        subject.observe(case.ref)


def test_a_changed_scheduler_size_patches_the_scheduler_and_the_quota_only(harness, case) -> None:
    since = len(harness.emulator.calls)
    apply_once(harness, changed(case, scheduler=au_size(8)))
    patched = {
        call.split("?")[0].rsplit("/", 2)[1:][0] + "/" + call.split("?")[0].rsplit("/", 1)[1]
        for call in calls(harness, since)
        if call.startswith("PATCH") and "/status" not in call
    }
    assert patched == {"deployments/scheduler", "resourcequotas/airdeck", "configmaps/airdeck-inventory"}


def test_a_worker_pod_rolls_nothing_else(harness, case) -> None:
    before = {
        w["metadata"]["name"]: w["metadata"]["generation"]
        for w in harness.api().items(path_of("apps/v1", "Deployment", harness.namespace(case)))
    }
    converge(harness, changed(case, queues=(QueueSpec("default", 1, 3, 2, au_size(7)),)))
    after = {
        w["metadata"]["name"]: w["metadata"]["generation"]
        for w in harness.api().items(path_of("apps/v1", "Deployment", harness.namespace(case)))
    }
    assert {name for name in before if before[name] != after[name]} == {"worker-default"}


def test_a_new_variable_reaches_every_component_at_once(harness, case) -> None:
    """So that the change takes as long as the slowest of them and not as all of them one after another. Redis has no
    variables of people's."""
    since = len(harness.emulator.calls)
    apply_once(harness, changed(case, environment={**case.release.environment, "SHADE": "dark"}))
    patched = {
        call.split("?")[0].rpartition("/")[2]
        for call in calls(harness, since)
        if call.startswith("PATCH")
        and ("/deployments/" in call or "/statefulsets/" in call)
        and "/status" not in call
    }
    assert patched == {"api-server", "scheduler", "dag-processor", "triggerer", "worker-default"}


STARTING, READY = ComponentState.STARTING, ComponentState.READY
STANDING = [
    (
        (("api-server", STARTING, 1, 1), ("scheduler", STARTING, 0, 1), ("triggerer", READY, 1, 1)),
        "2 of 3 components serve; waiting for Scheduler, and replacing the pods of API server, which still serve.",
    ),
    (
        (("api-server", STARTING, 1, 1), ("scheduler", STARTING, 2, 2)),
        "2 of 2 components serve; replacing the pods of API server, Scheduler, which still serve.",
    ),
    (
        (("api-server", ComponentState.FAILING, 0, 1), ("scheduler", READY, 1, 1)),
        "1 of 2 components serve; waiting for API server.",
    ),
]


@pytest.mark.parametrize(("seen", "sentence"), STANDING)
def test_in_a_rolling_change_what_serves_still_is_told_from_what_is_waited_for(seen, sentence) -> None:
    components = tuple(Component(name, state, ready, desired) for name, state, ready, desired in seen)
    assert provision._standing(components) == sentence


# -- Workers --


def test_idle_workers_go_first_and_other_changes_leave_their_number_alone(harness, case) -> None:
    three = replace(case, workers={"default": 3})
    converge(harness, three)
    pods = [
        p
        for p in api(harness).items(path_of("v1", "Pod", harness.namespace(case)))
        if p["metadata"]["labels"].get(names.LABEL_QUEUE)
    ]
    busy = pods[1]
    with psycopg.connect(
        ADMIN, dbname=databases.database_name(case.ref.release_name), autocommit=True
    ) as inside:
        row = "INSERT INTO task_instance (queue, state, hostname) VALUES ('default', 'running', %s)"
        inside.execute(row, (busy["status"]["podIP"],))
    load = harness.new_driver().observe(case.ref).queues[0]
    assert (load.workers, load.running) == (3, 1)
    converge(harness, case)
    left = [
        p
        for p in api(harness).items(path_of("v1", "Pod", harness.namespace(case)))
        if p["metadata"]["labels"].get(names.LABEL_QUEUE)
    ]
    assert [p["metadata"]["name"] for p in left] == [busy["metadata"]["name"]]
    converge(harness, replace(changed(case, scheduler=au_size(6)), workers={"default": 1}))
    assert get(harness, case, WORKER)["spec"]["replicas"] == 1


def test_airflow_is_stopped_in_an_order_that_loses_no_task(harness, case) -> None:
    asleep = changed(case, hibernating=True)
    pods = [
        p
        for p in api(harness).items(path_of("v1", "Pod", harness.namespace(case)))
        if p["metadata"]["labels"].get(names.LABEL_QUEUE)
    ]
    held = path_of("v1", "Pod", harness.namespace(case), pods[0]["metadata"]["name"])
    api(harness).merge(
        held, {"metadata": {"finalizers": ["example/task"]}}, "a pod that finishes its task", "kubelet"
    )
    for _ in range(3):
        assert apply_once(harness, asleep).outcome is Outcome.WAITING
        harness.kubelet.play()
    assert get(harness, case, SCHEDULER)["spec"]["replicas"] == 0
    assert get(harness, case, ("apps/v1", "Deployment", "api-server"))["spec"]["replicas"] == 1
    api(harness).merge(held, {"metadata": {"finalizers": None}}, "it", "kubelet")
    converge(harness, asleep)
    assert get(harness, case, ("apps/v1", "Deployment", "redis"))["spec"]["replicas"] == 0
    observed = harness.new_driver().observe(case.ref)
    assert observed.asleep
    assert {c.state for c in observed.components} == {ComponentState.ABSENT}
    converge(harness, case)  # and wakes


# -- Secrets --


def test_no_secret_is_in_anything_but_a_secret(harness) -> None:
    case = harness.running()
    public = {"variables", "sign_in_key"}  # the latter is the half that checks
    values = [v for k, v in vars(CANARIES).items() if k not in public] + list(CANARIES.variables.values())
    for target, found in harness.emulator.store.objects.items():
        if target.plural != "secrets":
            text = json.dumps(found)
            assert not any(value in text for value in values), target
    known = inventory.read(api(harness), case.ref, harness.namespace(case))
    settings = ClusterSettings.of(harness.config().settings)
    inputs = Inputs(case.release, case.secrets, settings, "postgresql://a@b/c", "postgresql://a@b/d")
    secret = next(
        m for m in render(inputs).lasting if inventory.identity(m) == ("v1", "Secret", names.VARIABLES)
    )
    assert known.rendered["v1", "Secret", names.VARIABLES] == inventory.manifest_digest(
        secret, CANARIES.fernet_key
    )
    assert inventory.manifest_digest(secret, "another key") != inventory.manifest_digest(
        secret, CANARIES.fernet_key
    )


def test_nothing_of_the_driver_shows_a_secret_in_its_repr(harness) -> None:
    case = harness.running()
    target = harness.bare_driver()._target(case.ref)
    task = provision.Task(target, case.release, case.secrets, case.workers, keda=False)
    message = repr((target, task, harness.config(), harness.bare_driver().connection))
    assert CANARIES.fernet_key not in message
    assert harness.connection._client.configuration.api_key["BearerToken"] not in message


def test_logs_of_tasks_get_a_volume_where_the_cluster_has_a_default_class_and_pages_say_what_holds(
    harness,
) -> None:
    case = harness.running()
    claim = ("v1", "PersistentVolumeClaim", names.TASK_LOGS)
    assert get(harness, case, claim)["spec"]["resources"]["requests"] == {"storage": "10Gi"}
    kept = "Kept for 30 days, 10 GiB at most; the oldest go first"
    assert harness.bare_driver().details(case.ref)["Task logs"] == kept
    without = harness.bare_driver(task_logs_gib="0")
    lost = "Kept for 30 days, 1 GiB at most; the oldest go first, and all are lost when the code server moves"
    assert lost in without.details(case.ref)["Task logs"]
    beside = harness.bare_driver(log_bucket=samples.BUCKET).details(case.ref)["Task logs"]
    assert beside == "Kept for 30 days, in a bucket at s3.example.com; the last 10 GiB also in the cluster"
