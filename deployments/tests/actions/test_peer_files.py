"""What astro-cli's own tests feed its deployment file, by the number of their table, each with our outcome. Rows 1, 16,
24 and 25 are the command line's: cli/tests."""

import pytest

from deployments.actions.deployment_files import apply_file
from deployments.clusters.options import options_for
from deployments.domain import deployment_file as files
from deployments.domain import deployment_file_text as text
from deployments.models import Deployment
from deployments.queries.deployment_files import base_of, document_of, plan, target_of
from deployments.secrets import vault
from deployments.tests.actions.test_deployment_files import apply, healthy, named, read
from deployments.tests.written_files import dump_json, dump_yaml

pytestmark = pytest.mark.django_db

CONFIGURATION = "deployment.configuration"
DEFAULT = {"name": "default"}


@pytest.fixture
def there(deployment):
    return healthy(deployment)


@pytest.fixture
def problems(workspace, cluster):
    """What is wrong with a file, read and planned against what there is."""

    def judge(document, *, new=False):
        said, wrong = files.read(text.load(dump_yaml(document)))
        target = None if new else target_of(workspace, said)
        return wrong or dict(plan(workspace, said, target).problems)

    return judge


def test_2_an_empty_file_has_no_content():
    with pytest.raises(text.FileUnreadable, match="has no content"):
        text.load("\n \n")


def test_3_text_that_is_no_mapping_is_told_what_was_expected(problems):
    assert problems("test") == {"": "Line 1: a mapping named deployment was expected."}


def test_4_without_a_name_the_path_of_the_name_is_told(problems):
    assert set(problems({"deployment": {"configuration": {"description": "x"}}})) == {f"{CONFIGURATION}.name"}
    assert set(problems({"deployment": {}})) == {f"{CONFIGURATION}.name"}


def test_5_without_an_executor_it_is_celery(workspace, alice, cluster):
    made, _ = apply(workspace, alice, named())
    assert (made.executor, made.queues.get().name) == ("celery", "default")


@pytest.mark.parametrize("spelled", ["CeleryExecutor", "CELERY", "celery"])
def test_6_executors_are_known_by_each_of_their_names(workspace, alice, cluster, spelled):
    made, _ = apply(workspace, alice, named(configuration={"executor": spelled}))
    assert made.executor == "celery"


@pytest.mark.parametrize("spelled", ["KubernetesExecutor", "SequentialExecutor"])
def test_6_an_executor_that_is_not_offered_is_refused(problems, spelled):
    assert set(problems(named(configuration={"executor": spelled}))) == {f"{CONFIGURATION}.executor"}


def test_7_a_bad_email_is_told_with_its_index(problems):
    wrong = problems(named(alert_emails=["a@example.org", "not-an-email"]))
    assert wrong["deployment.alert_emails[1]"].startswith("This is not an email address.")


def test_8_all_variables_without_key_or_value_are_told_at_once(problems):
    entries = [{"value": "x"}, {"key": "A"}, {"key": "S", "is_secret": True}]
    assert set(problems(named(environment_variables=entries[:1]))) == {
        "deployment.environment_variables[0].key"
    }
    assert set(problems(named(environment_variables=entries[1:]))) == {
        "deployment.environment_variables[0].value",
        "deployment.environment_variables[1].value",
    }


def test_9_queues_need_a_name_and_a_default_and_get_the_cluster_s_worker_type(
    problems, workspace, alice, cluster
):
    assert set(problems(named(worker_queues=[{"worker_type": "x"}]))) == {"deployment.worker_queues[0].name"}
    assert set(problems(named(worker_queues=[{"name": "heavy"}]))) == {"deployment.worker_queues"}
    made, _ = apply(workspace, alice, named(worker_queues=[DEFAULT]))
    assert made.queues.get().worker_type == options_for(cluster).default_worker_type


def test_10_an_unknown_worker_type_is_told_with_the_offered_ones(problems, cluster):
    wrong = problems(named(worker_queues=[{**DEFAULT, "worker_type": "m5.huge"}]))
    offered = ", ".join(each.name for each in options_for(cluster).worker_types)
    assert wrong == {
        "deployment.worker_queues[0].worker_type": f"Cluster {cluster.name} has no such worker type. "
        f"Enter one of {offered}."
    }


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"min_worker_count": 31, "max_worker_count": 30}, "min_worker_count"),
        ({"max_worker_count": 31}, "max_worker_count"),
        ({"max_worker_count": 0}, "max_worker_count"),
        ({"worker_concurrency": 65}, "worker_concurrency"),
        ({"worker_concurrency": 0}, "worker_concurrency"),
        ({"min_worker_count": 5, "max_worker_count": 4}, "min_worker_count"),
    ],
)
def test_11_figures_outside_of_the_options_are_told(problems, values, key):
    assert set(problems(named(worker_queues=[{**DEFAULT, **values}]))) == {
        f"deployment.worker_queues[0].{key}"
    }


def test_12_what_is_absent_is_the_default_and_less_than_nothing_is_refused(
    problems, workspace, alice, cluster
):
    wrong = problems(named(worker_queues=[{**DEFAULT, "min_worker_count": -1}]))
    assert set(wrong) == {"deployment.worker_queues[0].min_worker_count"}
    made, _ = apply(workspace, alice, named(worker_queues=[DEFAULT]))
    queue, options = made.queues.get(), options_for(cluster)
    assert (queue.min_workers, queue.max_workers, queue.concurrency) == (
        options.min_workers.default,
        options.max_workers.default,
        options.concurrency.default,
    )


@pytest.mark.parametrize("executor", ["local", "KubernetesExecutor"])
def test_13_only_celery_has_worker_queues(problems, production, executor):
    where = (
        {"executor": executor, "cluster_name": production.name}
        if executor != "local"
        else {"executor": executor}
    )
    wrong = problems(named(configuration=where, worker_queues=[DEFAULT]))
    assert wrong["deployment.worker_queues"].startswith("Only the Celery executor has worker queues.")


def test_14_an_unknown_cluster_is_told_with_those_that_are_open(problems, cluster):
    wrong = problems(named(configuration={"cluster_name": "mars"}))
    assert wrong == {
        f"{CONFIGURATION}.cluster_name": f"Choose a cluster that is open to this Workspace: {cluster.name}."
    }


def test_15_a_deployment_stays_on_its_cluster(there, problems, production):
    wrong = problems(named(configuration={"cluster_name": production.name}))
    assert wrong == {
        f"{CONFIGURATION}.cluster_name": f"A Deployment stays on its cluster. Enter {there.cluster.name}, "
        "or create another Deployment."
    }


def test_17_two_deployments_of_one_name_cannot_be(there, workspace):
    assert target_of(workspace, read(named("ANALYTICS"))) == there


def test_18_json_and_yaml_are_one(workspace, cluster):
    document = named(worker_queues=[DEFAULT], environment_variables=[{"key": "A", "value": "x: y"}])
    assert text.load(dump_json(document)) == text.load(dump_yaml(document)) == document


def test_19_an_empty_list_removes_all_and_an_absent_one_leaves_them(there, workspace, alice):
    apply(workspace, alice, named(environment_variables=[{"key": "A", "value": "x"}]))
    made, _ = apply(workspace, alice, named())
    assert set(vault.variables_of(made)) == {"A"}
    made, _ = apply(workspace, alice, named(environment_variables=[], alert_emails=[]))
    assert vault.variables_of(made) == {}


def test_20_a_queue_that_is_absent_is_deleted_and_the_plan_says_so(there, workspace, alice):
    apply(workspace, alice, named(worker_queues=[DEFAULT, {"name": "old"}]))
    made, planned = apply(workspace, alice, named(worker_queues=[DEFAULT, {"name": "middle"}]))
    assert [(each.sign, each.path) for each in planned.lines] == [
        ("+", "deployment.worker_queues.middle"),
        ("-", "deployment.worker_queues.old"),
    ]
    assert set(made.queues.values_list("name", flat=True)) == {"default", "middle"}


def test_20_a_queue_put_in_the_middle_moves_no_other_one(there, workspace, alice):
    apply(workspace, alice, named(worker_queues=[DEFAULT, {"name": "c", "worker_concurrency": 3}]))
    kept = there.queues.get(name="c").pk
    made, _ = apply(workspace, alice, named(worker_queues=[DEFAULT, {"name": "b"}, {"name": "c"}]))
    row = made.queues.get(name="c")
    assert (row.pk, row.concurrency) == (kept, 3)


def test_21_a_switch_that_we_have_not_is_refused_by_name(problems):
    wrong = problems(named(configuration={"ci_cd_enforcement": True}))
    assert wrong[f"{CONFIGURATION}.ci_cd_enforcement"].startswith("Airdeck has no ci_cd_enforcement.")


def test_22_a_hibernation_schedule_comes_with_create_and_with_update(workspace, alice, cluster):
    schedule = {"hibernate_at": "0 20 * * 1-5", "wake_at": "0 7 * * 1-5", "enabled": True}
    made, _ = apply(workspace, alice, named(hibernation_schedules=[schedule]))
    assert (made.schedule.hibernate_cron, made.schedule.time_zone) == ("0 20 * * 1-5", "UTC")
    healthy(made)
    made, _ = apply(workspace, alice, named(hibernation_schedules=[{**schedule, "wake_at": "0 8 * * 1-5"}]))
    made.schedule.refresh_from_db()
    assert made.schedule.wake_cron == "0 8 * * 1-5"


@pytest.mark.parametrize(
    "key", ["remote_execution", "allowed_ip_address_ranges", "task_log_bucket", "pod_cpu"]
)
def test_23_what_only_astro_has_is_refused_by_name_with_what_to_do(problems, key):
    wrong = problems(named(configuration={key: "x"}))
    assert wrong[f"{CONFIGURATION}.{key}"].endswith("Take it out, or ignore it with --compat.")


def test_23_a_mistyped_key_is_refused_with_the_nearest_one(problems):
    wrong = problems(named(configuration={"schedular_au": 5}))
    assert wrong[f"{CONFIGURATION}.schedular_au"].endswith("Did you mean scheduler_au?")


def test_26_from_inspect_to_template_to_create_and_the_secrets_are_asked_for(
    there, workspace, alice, problems
):
    apply(workspace, alice, named(environment_variables=[{"key": "S", "value": "x", "is_secret": True}]))
    document = document_of(Deployment.objects.get(pk=there.pk), template=True)
    document["deployment"]["configuration"]["name"] = "Second"
    assert set(problems(document, new=True)) == {"deployment.environment_variables[0].value"}
    document["deployment"]["environment_variables"][0]["value"] = "y"
    said = read(document)
    made, _ = apply_file(
        workspace=workspace,
        by=alice,
        deployment=None,
        file=said,
        base=base_of(None),
        idempotency_key=there.pk,
    )
    assert document_of(made, template=True)["deployment"]["environment_variables"] == [
        {"key": "S", "is_secret": True}
    ]
