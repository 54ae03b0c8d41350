"""What the Kubernetes driver does beyond the contract: how little it asks, what it prunes, puts back and never touches,
and what every fault between two requests leaves behind."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from deployments.dataplane import database
from deployments.dataplane.base import DataPlaneError, DataPlaneUnreachable, Outcome
from deployments.dataplane.kubernetes import creating, drift, inventory, names
from deployments.dataplane.kubernetes.client import Api, path_of
from deployments.dataplane.kubernetes.manifests import Inputs, render
from deployments.dataplane.kubernetes.settings import ClusterSettings
from deployments.spec import QueueSpec, au_size
from deployments.states import ComponentState, Executor
from deployments.tests.contract import CANARIES, Case, apply_once, converge, new_case, remove
from deployments.tests.kubernetes.emulator import Answer, Emulator
from deployments.tests.kubernetes.harness import ADMIN, KubernetesHarness
from deployments.tests.kubernetes.store import Place

SCHEDULER = ("apps/v1", "Deployment", "scheduler")
WORKER = ("apps/v1", "Deployment", "worker-default")


@pytest.fixture(scope="module")
def whole() -> Iterator[KubernetesHarness]:
    with Emulator() as emulator:
        made = KubernetesHarness(emulator.kubeconfig, emulator=emulator)
        made.running()  # with its template database
        yield made
        remove(made, made.running())
        made.close()


@pytest.fixture
def harness(whole: KubernetesHarness) -> Iterator[KubernetesHarness]:
    yield whole
    whole.emulator.heal()
    whole.kubelet.broken.clear()
    whole.emulator.keda = False


@pytest.fixture
def cases(harness: KubernetesHarness) -> Iterator[list[Case]]:
    """Deployments that a test made, removed after it."""
    made: list[Case] = []
    yield made
    harness.emulator.heal()
    for case in made:
        remove(harness, case)


@pytest.fixture
def own(harness: KubernetesHarness, cases: list[Case]) -> Case:
    """A Deployment that runs, for one test to ruin."""
    made = new_case()
    cases.append(made)
    converge(harness, made)
    return made


@pytest.fixture(scope="module")
def shared(whole: KubernetesHarness) -> Iterator[Case]:
    made = new_case()
    yield made
    remove(whole, made)


@pytest.fixture
def case(harness: KubernetesHarness, shared: Case) -> Case:
    """A Deployment that runs, for tests to change one after the other: each finds it as it was meant to be."""
    converge(harness, shared)
    return shared


def api(harness: KubernetesHarness) -> Api:
    return harness.api()


def get(harness: KubernetesHarness, case: Case, what: tuple[str, str, str]) -> dict | None:
    version, kind, name = what
    return api(harness).get(path_of(version, kind, harness.namespace(case), name))


def calls(harness: KubernetesHarness, since: int) -> list[str]:
    return [call for _, call in harness.emulator.calls[since:]]


def changed(case: Case, **changes: object) -> Case:
    return replace(case, release=replace(case.release, generation=case.release.generation + 1, **changes))


def objects(harness: KubernetesHarness, case: Case) -> set[tuple[str, str]]:
    """Everything in the namespace that a person would call ours."""
    inside = [place for place in harness.emulator.store.objects if place.namespace == harness.namespace(case)]
    return {(place.plural, place.name) for place in inside if place.plural != "pods"}


# -- How little it asks --


def test_creating_costs_a_request_per_object_and_ten_more_at_most(harness, cases) -> None:
    case = new_case()
    cases.append(case)
    plane, since = harness.driver(), len(harness.emulator.calls)
    plane.observe(case.ref)
    plane.apply(case.ref, case.release, case.secrets, case.workers)
    made = objects(harness, case)
    assert ("ingresses", "api-server") in made
    assert len(calls(harness, since)) <= len(made) + 10


def test_a_healthy_deployment_is_observed_with_two_requests(harness) -> None:
    case = harness.running()
    plane, since = harness.plane(), len(harness.emulator.calls)
    assert plane.observe(case.ref).ready
    plane.endpoint(case.ref)
    plane.notes(case.ref)
    assert len(calls(harness, since)) == 2


def test_applying_what_is_there_sends_nothing(harness) -> None:
    case = harness.running()
    plane, since = harness.plane(), len(harness.emulator.calls)
    assert plane.apply(case.ref, case.release, case.secrets, case.workers).outcome is Outcome.FINISHED
    assert {call.split()[0] for call in calls(harness, since)} == {"GET"}


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
        harness.driver().apply(case.ref, case.release, case.secrets, case.workers)
    assert harness.driver().observe(case.ref).leftovers == ()
    assert harness.driver().destroy(case.ref).outcome is Outcome.FINISHED
    assert api(harness).get(path)["metadata"]["uid"] == made["metadata"]["uid"]
    api(harness).delete(path, "it")


# -- Somebody else's changes --


def mark_drift(harness: KubernetesHarness, case: Case, *found: drift.Drift) -> None:
    """As the watcher does."""
    meta = {"annotations": {drift.ANNOTATION: drift.annotation(found)}}
    path = inventory.path(harness.namespace(case))
    api(harness).merge(path, {"metadata": meta}, "it", drift.OBSERVER)


def test_a_foreign_change_is_put_back_and_told(harness, case) -> None:
    path = path_of(*SCHEDULER[:2], harness.namespace(case), SCHEDULER[2])
    evil = {"spec": {"template": {"spec": {"serviceAccountName": "evil"}}}}
    found = api(harness).merge(path, evil, "it", "kubectl-edit")
    known = inventory.read(api(harness), case.ref, harness.namespace(case)).entries["Deployment", "scheduler"]
    judged = drift.judge(known, drift.seen(found))
    assert judged == drift.Drift("Deployment", "scheduler", "kubectl-edit")
    mark_drift(harness, case, judged)
    assert harness.driver().observe(case.ref).drifted
    progress = harness.driver().apply(case.ref, case.release, case.secrets, case.workers)
    assert progress.notices == ("Deployment scheduler was changed by kubectl-edit; it was put back.",)
    back = get(harness, case, SCHEDULER)
    assert back["spec"]["template"]["spec"]["serviceAccountName"] == "scheduler"
    assert not harness.driver().observe(case.ref).drifted
    known = inventory.read(api(harness), case.ref, harness.namespace(case)).entries["Deployment", "scheduler"]
    assert drift.judge(known, drift.seen(back)) is None


def test_a_removed_object_is_made_again(harness, case) -> None:
    path = path_of("v1", "Service", harness.namespace(case), "api-server")
    api(harness).delete(path, "it")
    mark_drift(harness, case, drift.Drift("Service", "api-server", removed=True))
    progress = apply_once(harness, case)
    assert progress.notices == ("Service api-server was removed by somebody; it was made again.",)
    assert api(harness).get(path) is not None


def test_drift_that_is_seen_meanwhile_is_not_forgotten(harness, case) -> None:
    first = drift.Drift("Service", "api-server", "a")
    mark_drift(harness, case, first)
    known = inventory.read(api(harness), case.ref, harness.namespace(case))
    mark_drift(harness, case, first, drift.Drift("Service", "redis", "b"))
    with pytest.raises(DataPlaneError):
        inventory.clear_drift(api(harness), harness.namespace(case), known)
    assert harness.driver().observe(case.ref).drifted
    assert len(apply_once(harness, case).notices) == 2
    assert not harness.driver().observe(case.ref).drifted


def test_the_scaler_is_no_stranger(harness, case) -> None:
    converge(harness, replace(case, workers={"default": 3}))
    found = get(harness, case, WORKER)
    known = inventory.read(api(harness), case.ref, harness.namespace(case)).entries[
        "Deployment", "worker-default"
    ]
    assert found["spec"]["replicas"] == 3
    assert drift.judge(known, drift.seen(found)) is None


def test_a_removed_namespace_is_made_again_and_the_database_stays(harness, own) -> None:
    harness.remember(own)
    path = path_of("v1", "Namespace", "", harness.namespace(own))
    api(harness).delete(path, "it")
    observed = harness.plane().observe(own.ref)
    assert observed.digest == ""
    converge(harness, own)
    assert harness.remembers(own)


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
        ADMIN, dbname=database.database_name(case.ref.release_name), autocommit=True
    ) as inside:
        row = "INSERT INTO task_instance (queue, state, hostname) VALUES ('default', 'running', %s)"
        inside.execute(row, (busy["status"]["podIP"],))
    load = harness.plane().observe(case.ref).queues[0]
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
    observed = harness.plane().observe(case.ref)
    assert observed.asleep
    assert {c.state for c in observed.components} == {ComponentState.ABSENT}
    converge(harness, case)  # and wakes


def test_with_keda_nobody_else_sets_replicas_and_it_lets_go_before_the_namespace_ends(harness, cases) -> None:
    harness.emulator.keda = True
    harness.connection.keda = (0.0, False)
    case = new_case()
    cases.append(case)
    plane = harness.driver(keda="true")
    plane.apply(case.ref, case.release, case.secrets, {"default": 3})
    managers = get(harness, case, WORKER)["metadata"]["managedFields"]
    assert not any("f:replicas" in m["fieldsV1"].get("f:spec", {}) for m in managers)
    path = path_of("keda.sh/v1alpha1", "ScaledObject", harness.namespace(case), "worker-default")
    api(harness).merge(path, {"metadata": {"finalizers": ["finalizer.keda.sh"]}}, "it", "keda")
    progress = plane.destroy(case.ref)
    assert progress.outcome is Outcome.WAITING
    assert progress.sentence == "Deletion waits for 1 ScaledObject with finalizer finalizer.keda.sh."
    assert api(harness).get(path)["metadata"]["finalizers"] == ["finalizer.keda.sh"]
    api(harness).merge(path, {"metadata": {"finalizers": None}}, "it", "keda")
    harness.connection.keda = (0.0, False)


# -- What ends badly --


def test_what_holds_a_namespace_is_named_and_never_stripped(harness, own) -> None:
    path = path_of("v1", "ConfigMap", harness.namespace(own), "theirs")
    theirs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "theirs", "finalizers": ["example/keep"]},
    }
    api(harness).apply(path, theirs, "somebody")
    while (progress := harness.plane().destroy(own.ref)).outcome is Outcome.PROGRESSED:
        pass
    assert progress.outcome is Outcome.WAITING
    assert "example/keep" in progress.sentence
    assert harness.plane().observe(own.ref).leftovers[0].step == "namespace"
    place = Place("v1", "namespaces", "", harness.namespace(own))
    old = (datetime.now(UTC) - timedelta(minutes=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    harness.emulator.store.objects[place]["metadata"]["deletionTimestamp"] = old
    with pytest.raises(DataPlaneError, match=r"cannot end.*example/keep"):
        harness.plane().destroy(own.ref)
    assert api(harness).get(path)["metadata"]["finalizers"] == ["example/keep"]
    api(harness).merge(path, {"metadata": {"finalizers": None}}, "it", "somebody")


@pytest.mark.parametrize("number", [1, 3, 4, 15, 36])
def test_whatever_request_is_the_last_the_next_call_completes_it(harness, cases, number: int) -> None:
    """As if the worker had been killed there: answers are lost, and no request follows."""
    case = new_case()
    cases.append(case)
    harness.emulator.script(
        "(GET|PATCH|DELETE) ", *[Answer("pass")] * number, Answer(status=500), always=True
    )
    with pytest.raises(DataPlaneUnreachable):
        harness.driver().apply(case.ref, case.release, case.secrets, case.workers)
    harness.emulator.heal()
    converge(harness, case)
    known = inventory.read(api(harness), case.ref, harness.namespace(case))
    assert known.digest == case.release.digest
    assert all(known.rendered.values())


def test_what_was_about_to_be_made_is_pruned_too(harness, case) -> None:
    extra = QueueSpec("heavy", 1, 1, 4, au_size(5))
    both = replace(changed(case, queues=(*case.release.queues, extra)), workers={"default": 1, "heavy": 1})
    harness.emulator.script(
        "PATCH .*/deployments/worker-heavy", Answer("lose"), Answer(status=500), always=True
    )
    with pytest.raises(DataPlaneUnreachable):
        harness.driver().apply(both.ref, both.release, both.secrets, both.workers)
    harness.emulator.heal()
    assert get(harness, case, ("apps/v1", "Deployment", "worker-heavy")) is not None
    converge(harness, case)
    assert get(harness, case, ("apps/v1", "Deployment", "worker-heavy")) is None


def test_a_quota_that_refuses_is_told_with_the_object(harness, cases) -> None:
    case = new_case()
    cases.append(case)
    text = 'deployments "scheduler" is forbidden: exceeded quota: theirs, requested: count=1, used: count=4'
    harness.emulator.script("PATCH .*/deployments/scheduler", Answer(status=403, message=text), always=True)
    with pytest.raises(
        DataPlaneError, match=r"quota does not allow Deployment scheduler: .*exceeded quota: theirs"
    ):
        harness.driver().apply(case.ref, case.release, case.secrets, case.workers)


def test_a_call_without_time_left_stops_between_two_objects(harness, cases, monkeypatch) -> None:
    case = new_case()
    cases.append(case)
    monkeypatch.setattr("deployments.dataplane.kubernetes.apply.ENOUGH_SECONDS", 1000.0)
    progress = harness.driver().apply(case.ref, case.release, case.secrets, case.workers)
    assert (progress.step, progress.outcome) == ("configuration", Outcome.PROGRESSED)
    assert progress.sentence.startswith("Applied 0 of ")
    monkeypatch.undo()
    converge(harness, case)


def test_a_template_that_cannot_be_migrated_says_why_and_is_tried_again(harness, cases) -> None:
    case = new_case(runtime=replace(new_case().release.runtime, version="3.9-1"))
    template = database.template_name("3.9-1")
    with (
        harness.kubelet.failing_migration(names.template_namespace(harness.prefix)),
        pytest.raises(DataPlaneError, match=r"Preparing a database for Airflow 3.3.2 failed: .*surprise"),
    ):
        converge(harness, case)
    cases.append(case)
    converge(harness, case)
    with psycopg.connect(ADMIN, autocommit=True) as admin:
        remove(harness, cases.pop())
        admin.execute(f"ALTER DATABASE {template} IS_TEMPLATE false")
        admin.execute(f"DROP DATABASE {template}")
        admin.execute(f"DROP ROLE {template}")
    left = {
        p.plural
        for p in harness.emulator.store.objects
        if p.namespace == names.template_namespace(harness.prefix)
    }
    assert not left & {"jobs", "secrets"}


# -- Secrets --


def test_no_secret_is_in_anything_but_a_secret(harness) -> None:
    case = harness.running()
    values = [v for k, v in vars(CANARIES).items() if k != "variables"] + list(CANARIES.variables.values())
    for place, found in harness.emulator.store.objects.items():
        if place.plural != "secrets":
            text = json.dumps(found)
            assert not any(value in text for value in values), place
    known = inventory.read(api(harness), case.ref, harness.namespace(case))
    inputs = Inputs(
        case.release, case.secrets, ClusterSettings.of(harness.config().settings), "postgresql://a@b/c"
    )
    secret = next(
        m for m in render(inputs).lasting if inventory.identity(m) == ("v1", "Secret", names.VARIABLES)
    )
    assert known.rendered["v1", "Secret", names.VARIABLES] == inventory.mark(secret, CANARIES.fernet_key)
    assert inventory.mark(secret, "another key") != inventory.mark(secret, CANARIES.fernet_key)


def test_nothing_of_the_driver_shows_a_secret_in_its_repr(harness) -> None:
    case = harness.running()
    place = harness.driver()._place(case.ref)
    task = creating.Task(place, case.release, case.secrets, case.workers, keda=False)
    said = repr((place, task, harness.config(), harness.driver().connection))
    assert CANARIES.fernet_key not in said
    assert harness.connection._client.configuration.api_key["BearerToken"] not in said
