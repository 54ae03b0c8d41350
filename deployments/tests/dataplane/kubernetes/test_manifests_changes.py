"""What a change of the Release changes in the cluster, and that it changes nothing else."""

import re
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deployments.clusters.options import QUEUE_NAME
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.manifests import Inputs
from deployments.dataplane.kubernetes.manifests.autoscaling import question
from deployments.domain.code_manifest import CodeVersion
from deployments.domain.spec import QueueSpec, Size, au_size
from deployments.domain.states import Executor
from deployments.tests.dataplane.kubernetes import samples

QUOTA, SCHEDULER, API = (
    ("ResourceQuota", "airdeck"),
    ("Deployment", "scheduler"),
    ("Deployment", "api-server"),
)
KEYS = ("Secret", names.KEYS)

queue_names = st.from_regex(QUEUE_NAME)
LEGAL = re.compile(
    r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
)  # of a name that is a label of DNS, and of a label's value
queue_specs = st.builds(
    lambda name, low, more, concurrency, au: QueueSpec(
        name, low, max(1, low + more), concurrency, au_size(au)
    ),
    queue_names,
    st.integers(0, 15),
    st.integers(0, 15),
    st.integers(1, 64),
    st.integers(1, 100),
)
queue_sets = st.lists(queue_specs, min_size=1, max_size=6, unique_by=lambda queue: queue.name)


def secret(asked: Inputs, **values: object) -> Inputs:
    return replace(asked, secrets=replace(asked.secrets, **values))


def airflow_pods(asked: Inputs) -> set[tuple[str, str]]:
    """The Deployments of all components that run Airflow."""
    others = (names.REDIS, names.CODE_SERVER)
    return {key for key in samples.lasting(asked) if key[0] == "Deployment" and key[1] not in others}


@settings(max_examples=40, deadline=None)
@given(queues=queue_sets, keda=st.booleans(), data=st.data())
def test_removing_a_queue_removes_exactly_its_objects(queues, keda, data):
    given = {"keda": "true"} if keda else {}
    before = samples.inputs(settings=given, queues=tuple(queues))
    gone = data.draw(st.sampled_from(queues))
    after = samples.inputs(settings=given, queues=tuple(queue for queue in queues if queue != gone))
    old, new = samples.lasting(before), samples.lasting(after)
    removed = old.keys() - new.keys()
    own = {key for key, each in old.items() if each["metadata"]["labels"].get(names.LABEL_QUEUE) == gone.name}
    shared = {("Secret", names.DATABASE_LOGIN), ("TriggerAuthentication", "metadata-database")}
    assert removed == own | (shared if keda and len(queues) == 1 else set())
    assert ("Deployment", names.worker(gone.name)) in removed
    assert new.keys() <= old.keys()
    # Parallelism is the sum over the queues, and only the scheduler reads it.
    assert samples.changed(before, after) - removed <= {SCHEDULER, QUOTA}


@settings(max_examples=60, deadline=None)
@given(st.lists(queue_names, min_size=2, max_size=8, unique=True))
def test_two_queues_never_share_a_name(found):
    minted = [names.worker(name) for name in found]
    assert len(set(minted)) == len(found)
    assert all(len(name) <= names.LONGEST_OBJECT for name in minted)


@given(st.from_regex(r"\A[A-Za-z0-9_.-]{1,64}\Z") | queue_names)
@example("etl-")
@example("q" * 56)
def test_a_queue_that_the_form_takes_is_legal_in_every_place_that_kubernetes_gives_it(name):
    taken = re.search(QUEUE_NAME, name) is not None
    assert taken is (LEGAL.fullmatch(f"worker-{name}") is not None and name[0].isalpha())
    if taken:
        assert LEGAL.fullmatch(names.worker(name))
        assert len(f"keda-hpa-{names.worker(name)}") <= 63
        assert LEGAL.fullmatch(
            names.labels(samples.inputs().ref, names.WORKER, queue=name)[names.LABEL_QUEUE]
        )


def test_no_queue_can_be_given_the_cut_name_of_another():
    cut = names.worker("q" * 63)
    assert names.worker(cut.removeprefix("worker-")) != cut


def test_the_size_of_the_scheduler_changes_the_scheduler_and_the_quota():
    for executor in Executor:
        before = samples.inputs(executor)
        after = samples.inputs(executor, scheduler=au_size(24))
        assert samples.changed(before, after) == {SCHEDULER, QUOTA}


def test_the_number_of_schedulers_restarts_none_that_runs():
    before, after = samples.inputs(), samples.inputs(scheduler_replicas=3)
    assert samples.changed(before, after) == {SCHEDULER, QUOTA}
    old, new = (samples.lasting(each)[SCHEDULER]["spec"] for each in (before, after))
    assert old["template"] == new["template"]
    assert (old["replicas"], new["replicas"]) == (2, 3)


def test_a_workers_size_changes_its_queue_and_the_quota():
    before = samples.inputs()
    queues = (replace(before.release.queues[0], size=Size(4000, 9000)), *before.release.queues[1:])
    after = samples.inputs(queues=queues)
    assert samples.changed(before, after) == {("Deployment", "worker-default"), QUOTA}


@pytest.mark.parametrize("executor", Executor)
def test_a_generation_changes_nothing(executor):
    assert samples.changed(samples.inputs(executor), samples.inputs(executor, generation=9)) == set()


@pytest.mark.parametrize("executor", Executor)
def test_a_plain_variable_restarts_what_reads_it(executor):
    before, after = samples.inputs(executor), samples.inputs(executor, environment={"COLOUR": "red"})
    changed = samples.changed(before, after)
    assert changed - {("CronJob", "cleanup")} == {("ConfigMap", names.VARIABLES)} | airflow_pods(before)


def test_the_value_of_a_secret_variable_restarts_what_reads_it():
    before = samples.inputs()
    after = secret(before, variables={**before.secrets.variables, "TOKEN": "another"})
    assert samples.changed(before, after) == {("Secret", names.VARIABLES)} | airflow_pods(before)


def test_the_login_restarts_the_api_server_alone():
    before = samples.inputs()
    assert samples.changed(before, secret(before, admin_password="new")) == {("Secret", names.LOGIN), API}


def test_the_signing_key_restarts_those_who_sign():
    before = samples.inputs()
    assert samples.changed(before, secret(before, jwt_secret="new" * 30)) == {KEYS, API, SCHEDULER}


def test_the_database_password_restarts_no_worker():
    before = samples.inputs(settings={})
    after = replace(before, database_url=before.database_url.replace("marked", "new"))
    workers = {key for key in airflow_pods(before) if key[1].startswith("worker-")}
    assert samples.changed(before, after) == {KEYS} | (airflow_pods(before) - workers)


def test_the_way_to_the_code_restarts_its_server_alone():
    before = samples.inputs()
    after = replace(before, code_url=before.code_url.replace("marked", "new"))
    assert samples.changed(before, after) == {KEYS, ("Deployment", names.CODE_SERVER)}


def test_a_deploy_restarts_nothing():
    for executor in Executor:
        before = samples.inputs(executor)
        after = samples.inputs(executor, code=CodeVersion("7-0123456789ab", "0" * 64))
        assert before.release.digest != after.release.digest
        assert samples.changed(before, after) == set()


def test_redis_password_restarts_redis_and_those_who_ask_it():
    before = samples.inputs()
    workers = {key for key in airflow_pods(before) if key[1].startswith("worker-")}
    changed = samples.changed(before, secret(before, redis_password="new"))
    assert changed == {KEYS, ("Secret", names.REDIS_CONFIG), ("Deployment", "redis"), SCHEDULER} | workers


def test_the_number_of_workers_is_sent_where_nobody_else_owns_it():
    before = samples.inputs(settings={})
    after = replace(before, workers={"default": 7})
    found = samples.lasting(after)
    assert found["Deployment", "worker-default"]["spec"]["replicas"] == 7
    assert "replicas" not in found["Deployment", "worker-heavy"]["spec"]
    for each in samples.lasting(samples.inputs()).values():  # with KEDA
        if each["metadata"]["name"].startswith("worker-") and each["kind"] == "Deployment":
            assert "replicas" not in each["spec"]


def test_keda_asks_for_as_many_workers_as_the_consoles_own_scaler():
    found = samples.lasting(samples.inputs())
    scaled = found["ScaledObject", "worker-default"]["spec"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"], scaled["pollingInterval"]) == (1, 10, 10)
    assert scaled["scaleTargetRef"] == {"name": "worker-default"}
    assert ("Deployment", "worker-default") in found
    reference = found["TriggerAuthentication", scaled["triggers"][0]["authenticationRef"]["name"]]
    target = reference["spec"]["secretTargetRef"][0]
    assert samples.decoded(found["Secret", target["name"]])[target["key"]] == samples.DATABASE
    assert question(QueueSpec("default", 1, 10, 16, au_size(1))) == (
        "SELECT ceil(count(*)::decimal / 16) FROM task_instance "
        "WHERE state IN ('running', 'queued') AND queue = 'default'"
    )


@pytest.mark.parametrize("executor", Executor)
@pytest.mark.parametrize("keda", ["true", ""])
def test_a_hibernating_deployment_keeps_every_object_and_runs_nothing(executor, keda):
    awake = samples.inputs(executor, settings={"keda": keda})
    asleep = samples.inputs(executor, settings={"keda": keda}, hibernating=True)
    found = samples.lasting(asleep)
    assert found.keys() == samples.lasting(awake).keys()
    for (kind, name), each in found.items():
        if kind == "Deployment" and keda and name.startswith("worker-"):
            paused = found["ScaledObject", name]["metadata"]["annotations"]
            assert paused == {"autoscaling.keda.sh/paused-replicas": "0"}
            assert "replicas" not in each["spec"]
        elif kind == "Deployment":
            assert each["spec"]["replicas"] == 0
            template = samples.lasting(awake)[kind, name]["spec"]["template"]
            assert each["spec"]["template"] == template
        elif kind == "CronJob":
            assert each["spec"]["suspend"] is True
    kinds = {kind for kind, _ in samples.changed(awake, asleep)}
    assert kinds <= {"Deployment", "ScaledObject", "CronJob"}


def test_a_migration_job_is_named_after_what_it_does():
    def job(asked: Inputs) -> str:
        return next(each["metadata"]["name"] for each in samples.documents(asked) if each["kind"] == "Job")

    before = samples.inputs()
    assert job(before) == job(samples.inputs(generation=9, environment={"A": "b"}, scheduler_replicas=4))
    assert job(before) != job(samples.inputs(minor="3.2"))


def test_task_pods_follow_a_new_image_with_a_restart_of_the_scheduler_alone_reading_them():
    before, after = samples.inputs(Executor.KUBERNETES), samples.inputs(Executor.KUBERNETES, minor="3.2")
    changed = samples.changed(before, after)
    assert {("ConfigMap", names.POD_TEMPLATE), SCHEDULER, API} <= changed
    _, _, task = next(pod for pod in samples.pods(samples.documents(after)) if pod[0].startswith("ConfigMap"))
    assert task["containers"][0]["image"].endswith(":3.2.2")
    assert [each["name"] for each in task["containers"]] == ["base"]
    assert task["restartPolicy"] == "Never"
    assert "args" not in task["containers"][0]
