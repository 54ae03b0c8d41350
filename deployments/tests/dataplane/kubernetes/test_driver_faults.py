"""What every fault between two requests of the Kubernetes driver leaves behind."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable, Outcome
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import Api, path_of
from deployments.dataplane.kubernetes.health import observe
from deployments.dataplane.kubernetes.objects import inventory
from deployments.dataplane.kubernetes.steps import jobs, removal
from deployments.dataplane.postgres import code_schema, databases
from deployments.domain.spec import QueueSpec, au_size
from deployments.tests.dataplane.contract import converge, new_case, remove
from deployments.tests.dataplane.kubernetes.answers import Answer
from deployments.tests.dataplane.kubernetes.harness import ADMIN
from deployments.tests.dataplane.kubernetes.store import Place
from deployments.tests.dataplane.kubernetes.words import api, calls, changed, get
from deployments.tests.templates import drop_template


def test_what_holds_a_namespace_is_named_and_never_stripped(harness, own) -> None:
    path = path_of("v1", "ConfigMap", harness.namespace(own), "theirs")
    theirs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "theirs", "finalizers": ["example/keep"]},
    }
    api(harness).apply(path, theirs, "somebody")
    while (progress := harness.new_driver().destroy(own.ref)).step == "components":
        pass
    assert (progress.step, progress.outcome) == ("namespace", Outcome.PROGRESSED)
    progress = harness.new_driver().destroy(own.ref)
    assert progress.outcome is Outcome.WAITING
    assert progress.sentence == "Deletion waits for configmaps (1) with finalizer example/keep."
    assert harness.new_driver().observe(own.ref).leftovers[0].step == "namespace"
    target = Place("v1", "namespaces", "", harness.namespace(own))
    old = (datetime.now(UTC) - timedelta(minutes=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    harness.emulator.store.objects[target]["metadata"]["deletionTimestamp"] = old
    with pytest.raises(DataPlaneError, match=r"cannot end.*example/keep"):
        harness.new_driver().destroy(own.ref)
    assert api(harness).get(path)["metadata"]["finalizers"] == ["example/keep"]
    api(harness).merge(path, {"metadata": {"finalizers": None}}, "it", "somebody")


@pytest.mark.thorough
@pytest.mark.parametrize("number", [1, 3, 4, 15, 36])
def test_whatever_request_is_the_last_the_next_call_completes_it(harness, cases, number: int) -> None:
    """As if the worker had been killed there: answers are lost, and no request follows."""
    case = new_case()
    cases.append(case)
    harness.emulator.script(
        "(GET|PATCH|DELETE) ", *[Answer("pass")] * number, Answer(status=500), always=True
    )
    with pytest.raises(DataPlaneUnreachable):
        harness.bare_driver().apply(case.ref, case.release, case.secrets, case.workers)
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
        harness.bare_driver().apply(both.ref, both.release, both.secrets, both.workers)
    harness.emulator.heal()
    assert get(harness, case, ("apps/v1", "Deployment", "worker-heavy")) is not None
    converge(harness, case)
    assert get(harness, case, ("apps/v1", "Deployment", "worker-heavy")) is None


def test_a_database_that_is_gone_is_told_and_not_replaced_by_an_empty_one(harness, own) -> None:
    with psycopg.connect(ADMIN, autocommit=True) as admin:
        name = databases.database_name(own.ref.release_name)
        admin.execute(f"ALTER DATABASE {name} RENAME TO {name}_away")
        for release in (own.release, changed(own, hibernating=True).release):
            with pytest.raises(DataPlaneError, match=rf"{name} is not on the database server.* Put it back"):
                harness.bare_driver().apply(own.ref, release, own.secrets, own.workers)
        assert not databases.find(ADMIN, own.ref.release_name, own.ref.deployment_id).database
        admin.execute(f"ALTER DATABASE {name}_away RENAME TO {name}")
    converge(harness, own)


@pytest.mark.parametrize("role_too", [False, True])
def test_a_database_that_went_with_its_namespace_is_told_of_like_one_that_went_alone(
    harness, own, role_too
) -> None:
    """All that the cluster kept of it is gone; the console knows that it ran."""
    ref, path = own.ref, path_of("v1", "Namespace", "", harness.namespace(own))
    api(harness).delete(path, "it")
    databases.drop_database(ADMIN, ref.release_name, ref.deployment_id)
    if role_too:
        code_schema.drop(ADMIN, ref.release_name, ref.deployment_id)
        databases.drop_role(ADMIN, ref.release_name, ref.deployment_id)
    ran = replace(own.release, ran_before=True)
    for release in (ran, replace(ran, hibernating=True), ran):
        with pytest.raises(DataPlaneError, match=r"is not on the database server.* delete this Deployment"):
            harness.bare_driver().apply(ref, release, own.secrets, own.workers)
    assert not databases.find(ADMIN, ref.release_name, ref.deployment_id).database
    remove(harness, own)


@pytest.mark.thorough
def test_a_node_that_does_not_answer_is_waited_for_once_in_a_look(harness) -> None:
    case = harness.running()
    target, since = harness.bare_driver()._target(case.ref), len(harness.emulator.calls)
    harness.emulator.script("GET .*/log", Answer("hang"), always=True)
    assert observe._last_lines(target, target.pods()[:3]) == {}
    assert [call for call in calls(harness, since) if "/log" in call][1:] == []
    harness.emulator.heal()
    assert all(observe._last_lines(target, target.pods()[:3]).values())


def test_a_quota_that_refuses_is_told_with_the_object(harness, cases) -> None:
    case = new_case()
    cases.append(case)
    text = 'deployments "scheduler" is forbidden: exceeded quota: theirs, requested: count=1, used: count=4'
    harness.emulator.script("PATCH .*/deployments/scheduler", Answer(status=403, message=text), always=True)
    with pytest.raises(
        DataPlaneError, match=r"quota does not allow Deployment scheduler: .*exceeded quota: theirs"
    ):
        harness.bare_driver().apply(case.ref, case.release, case.secrets, case.workers)


def test_a_call_without_time_left_stops_between_two_objects(harness, cases, monkeypatch) -> None:
    case = new_case()
    cases.append(case)
    monkeypatch.setattr("deployments.dataplane.kubernetes.objects.apply.ENOUGH_SECONDS", 1000.0)
    progress = harness.bare_driver().apply(case.ref, case.release, case.secrets, case.workers)
    assert (progress.step, progress.outcome) == ("configuration", Outcome.PROGRESSED)
    assert progress.sentence.startswith("Applied 0 of ")
    monkeypatch.undo()
    converge(harness, case)


@pytest.mark.thorough
def test_a_template_that_cannot_be_migrated_says_why_and_is_tried_again(harness, cases) -> None:
    case = new_case(runtime=replace(new_case().release.runtime, version="3.9-1"))
    with (
        harness.kubelet.failing_migration(names.template_namespace(harness.prefix)),
        pytest.raises(DataPlaneError, match=r"Preparing a database for Airflow 3.3.2 failed: .*surprise"),
    ):
        converge(harness, case)
    cases.append(case)
    converge(harness, case)
    remove(harness, cases.pop())
    drop_template(ADMIN, "3.9-1")
    left = {
        p.plural
        for p in harness.emulator.store.objects
        if p.namespace == names.template_namespace(harness.prefix)
    }
    assert not left & {"jobs", "secrets"}


def left_of_jobs(harness) -> set[str]:
    namespace = names.template_namespace(harness.prefix)
    there = {p.plural for p in harness.emulator.store.objects if p.namespace == namespace}
    return there & {"jobs", "secrets"}


def drafts() -> list:
    """The half-made template of 3.9-1."""
    with psycopg.connect(ADMIN, autocommit=True) as admin:
        return admin.execute(
            "SELECT datname FROM pg_database WHERE datname = 'airdeck_template_3_9_1_new'"
        ).fetchall()


@pytest.mark.thorough
def test_an_image_that_cannot_be_pulled_is_named_can_be_corrected_and_leaves_nothing(
    harness, cases, monkeypatch
) -> None:
    monkeypatch.setattr(jobs, "QUIET_SECONDS", 0.2)
    runtime = replace(new_case().release.runtime, version="3.9-1", image="example.org/no:such")
    case = new_case(runtime=runtime)
    harness.kubelet.unpullable = {"example.org/no:such"}

    def message() -> str:
        harness.kubelet.play()
        return harness.new_driver().apply(case.ref, case.release, case.secrets, case.workers).sentence

    deadline = time.monotonic() + 20
    while "can't pull example.org/no:such" not in (sentence := message()):
        assert time.monotonic() < deadline, sentence
        time.sleep(0.2)
    assert left_of_jobs(harness) == {"jobs", "secrets"}
    assert drafts() != []
    for _ in range(8):  # whichever word Kubernetes has for it just now
        time.sleep(0.3)
        assert message().partition(":")[0] == sentence.partition(":")[0]

    # Given up: nothing stays, whoever would never come back for it.
    remove(harness, case)
    assert left_of_jobs(harness) == set()
    assert drafts() == []

    # Corrected: another image is another Job, and the one before goes.
    again = new_case(runtime=runtime)
    cases.append(again)
    case = again
    while "can't pull" not in message():
        assert time.monotonic() < deadline + 20
        time.sleep(0.2)
    good = replace(
        again, release=replace(again.release, runtime=replace(runtime, image="example.org/is:there"))
    )
    converge(harness, good)
    assert left_of_jobs(harness) == set()
    remove(harness, cases.pop())
    drop_template(ADMIN, "3.9-1")


def test_a_delete_of_more_pods_than_one_call_has_time_for_does_not_call_the_cluster_silent(
    harness, own, monkeypatch
) -> None:
    delete = Api.delete

    def slow(*arguments, **more) -> bool:
        time.sleep(0.5)
        return delete(*arguments, **more)

    monkeypatch.setattr(Api, "delete", slow)
    target = harness.bare_driver()._target(own.ref, 2.0)
    progress = removal.step(target)
    assert (progress.step, progress.outcome) == ("components", Outcome.WAITING)
    pods = api(harness).items(path_of("v1", "Pod", harness.namespace(own)))
    assert len([pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]) < 7
    assert target.api.left > 0


def test_pods_that_finish_what_they_do_are_waited_for_however_long() -> None:
    remaining = (
        "Some resources are remaining: pods. has 2 resource instances, configmaps. has 1 resource instances"
    )
    content = {"type": "NamespaceContentRemaining", "status": "True", "message": remaining}
    assert (
        removal.blocker({"status": {"conditions": [content]}})
        == "Deletion waits for pods (2), configmaps (1)."
    )
    broken = {
        "type": "NamespaceDeletionDiscoveryFailure",
        "status": "True",
        "message": "metrics.k8s.io: stale",
    }
    assert removal.blocker({"status": {"conditions": [broken]}}) == "Deletion waits: metrics.k8s.io: stale."
    assert removal.blocker({"status": {"conditions": [{**broken, "status": "False"}]}}) == ""
