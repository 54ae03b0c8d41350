"""Applying deployment files to rows: what inspect writes changes nothing, all of it or nothing, and only what was
planned."""

from uuid import uuid4

import pytest
from django.utils import timezone

from deployments.actions import create_deployment
from deployments.actions.deployment_files import apply_file
from deployments.actions.hibernation import set_schedule
from deployments.actions.queues import add_queue
from deployments.actions.refusals import FileRefused, NotNow, PlanStale
from deployments.actions.variables import latest_revision, set_variable
from deployments.clusters.options import options_for
from deployments.domain import deployment_file as files
from deployments.domain import deployment_file_text as text
from deployments.domain.states import Executor
from deployments.domain.variables import Setting
from deployments.models import Deployment, HibernationSchedule, RuntimeRelease
from deployments.queries.deployment_files import base_of, document_of, plan, target_of
from deployments.secrets import vault
from deployments.tests.written_files import dump_yaml
from workspaces.models import AuditEvent

pytestmark = pytest.mark.django_db


def healthy(deployment: Deployment) -> Deployment:
    Deployment.objects.filter(pk=deployment.pk).update(first_healthy_at=timezone.now(), status="healthy")
    deployment.refresh_from_db()
    return deployment


def read(document) -> files.DeploymentFile:
    said, problems = files.read(text.load(dump_yaml(document)))
    assert problems == {}
    return said


def apply(workspace, by, document, *, base=None):
    said = read(document)
    there = target_of(workspace, said)
    return apply_file(
        workspace=workspace,
        by=by,
        deployment=there,
        file=said,
        base=base_of(there) if base is None else base,
        idempotency_key=uuid4(),
    )


def named(name="Analytics", **sections):
    configuration = {"name": name, **sections.pop("configuration", {})}
    return {"deployment": {"configuration": configuration, **sections}}


@pytest.fixture
def rich(deployment, alice):
    """A Deployment with everything that a file can say."""
    healthy(deployment)
    values = {"worker_type": options_for(deployment.cluster).worker_types[-1].name}
    values |= {"min_workers": 0, "max_workers": 3, "concurrency": 4}
    add_queue(deployment=deployment, by=alice, name="heavy", desired=values)
    add_queue(deployment=deployment, by=alice, name="a-first", desired=values)
    for key, value, secret in (
        ("PLAIN", "a=b 'c'", False),
        ("TOKEN", "hush-hush", True),
        ("EMPTY", "", False),
    ):
        set_variable(deployment=deployment, by=alice, key=key, value=value, secret=secret, seen=None)
    desired = {"hibernate_cron": "0 20 * * *", "wake_cron": "", "time_zone": "Europe/Paris", "enabled": True}
    set_schedule(deployment=deployment, by=alice, shown={}, desired=desired)
    return healthy(deployment)


def odd_runtime(rich):
    RuntimeRelease.objects.filter(pk=rich.runtime_id).update(yanked=True)


def odd_limits(rich):
    rich.queues.filter(name="heavy").update(max_workers=200, concurrency=500)
    Deployment.objects.filter(pk=rich.pk).update(scheduler_au=100)


def odd_cluster(rich):
    type(rich.cluster).objects.filter(pk=rich.cluster_id).update(restricted=True)


def odd_variable(rich):
    rich.variables.filter(key="PLAIN").update(key="LD_PRELOAD")


def odd_words(rich):
    Deployment.objects.filter(pk=rich.pk).update(name="🚀 on: yes", description="- #\n\t“x”\x85 null")


def local(rich):
    rich.queues.all().delete()
    Deployment.objects.filter(pk=rich.pk).update(executor=Executor.LOCAL)


def woken_by_opening(rich):
    Deployment.objects.filter(pk=rich.pk).update(wakes_on_open=True)


def no_schedule(rich):
    HibernationSchedule.objects.filter(deployment=rich).update(hibernate_cron="", wake_cron="", enabled=False)


def being_created(rich):
    Deployment.objects.filter(pk=rich.pk).update(first_healthy_at=None)


ODDITIES = [
    *(odd_runtime, odd_limits, odd_cluster, odd_variable, odd_words),
    *(local, woken_by_opening, no_schedule, being_created),
]


@pytest.mark.parametrize("oddity", [None, *ODDITIES], ids=lambda each: getattr(each, "__name__", "rich"))
def test_applying_what_inspect_wrote_changes_nothing(rich, alice, workspace, oddity):
    if oddity:
        oddity(rich)
    rich = Deployment.objects.get(pk=rich.pk)
    events, generation = AuditEvent.objects.count(), rich.generation
    document = document_of(rich)
    made, planned = apply(workspace, alice, document)
    assert (made.pk, planned.lines, planned.problems) == (rich.pk, (), {})
    made.refresh_from_db()
    assert (made.generation, AuditEvent.objects.count(), document_of(made)) == (generation, events, document)


def test_a_template_makes_a_second_one_that_differs_in_name_and_secrets_alone(rich, alice, workspace):
    woken_by_opening(rich)
    document = document_of(Deployment.objects.get(pk=rich.pk), template=True)
    inner = document["deployment"]
    assert "metadata" not in inner
    assert inner["configuration"]["wake_when_opened"] is True
    inner["configuration"]["name"] = "Copy"
    planned = plan(workspace, read(document), None)
    assert set(planned.problems) == {"deployment.environment_variables[2].value"}
    inner["environment_variables"][2]["value"] = "another"
    made, _ = apply(workspace, alice, document)
    original = document_of(Deployment.objects.get(pk=rich.pk), template=True)
    assert original == document_of(Deployment.objects.get(pk=made.pk), template=True)
    assert vault.variables_of(made)["TOKEN"] == Setting("another", True)
    assert made.schedule.next_hibernate_at is not None
    assert (latest_revision(made), made.generation, made.status) == (1, 1, "creating")


def test_a_file_changes_everything_in_one_go_and_keeps_the_secret(rich, alice, workspace, enqueued):
    document = document_of(rich)
    inner = document["deployment"]
    inner["configuration"] |= {"name": "Reports", "scheduler_au": 7, "description": "Nightly"}
    inner["configuration"]["wake_when_opened"] = True
    default, first, _ = inner["worker_queues"]
    inner["worker_queues"] = [{**default, "max_worker_count": 4}, first, {"name": "new"}]
    inner["environment_variables"] = [{"key": "TOKEN"}, {"key": "MORE", "value": "x"}]
    inner["hibernation_schedules"] = []
    said = read(document)
    lines = plan(workspace, said, rich).lines
    assert [(line.sign, line.path.removeprefix("deployment.")) for line in lines] == [
        ("~", "configuration.name"),
        ("~", "configuration.description"),
        ("~", "configuration.scheduler_au"),
        ("~", "configuration.wake_when_opened"),
        ("~", "worker_queues.default.max_worker_count"),
        ("-", "worker_queues.heavy"),
        ("+", "worker_queues.new"),
        ("-", "environment_variables.EMPTY"),
        ("+", "environment_variables.MORE"),
        ("-", "environment_variables.PLAIN"),
        ("-", "hibernation_schedules"),
    ]
    made, _ = apply(workspace, alice, document)
    assert (made.name, made.scheduler_au, made.status) == ("Reports", 7, "deploying")
    assert made.wakes_on_open
    assert set(made.queues.values_list("name", flat=True)) == {"default", "a-first", "new"}
    assert vault.variables_of(made) == {"TOKEN": Setting("hush-hush", True), "MORE": Setting("x", False)}
    assert enqueued == [] or set(enqueued) == {made.pk}
    again = plan(workspace, read(document_of(made)), made)
    assert again.lines == ()


def test_a_newer_runtime_is_an_upgrade_and_an_older_one_is_refused(rich, alice, workspace):
    newest = options_for(rich.cluster).runtimes
    Deployment.objects.filter(pk=rich.pk).update(runtime=newest[-1])
    rich.refresh_from_db()
    made, _ = apply(workspace, alice, named(configuration={"runtime_version": newest[0].version}))
    assert (made.runtime, made.upgrade_from) == (newest[0], newest[-1])
    planned = plan(workspace, read(named(configuration={"runtime_version": newest[-1].version})), made)
    assert set(planned.problems) == {"deployment.configuration.runtime_version"}


def test_from_celery_to_local_drops_every_queue_and_back_makes_the_default(rich, alice, workspace):
    made, planned = apply(workspace, alice, named(configuration={"executor": "LocalExecutor"}))
    assert [line.path for line in planned.lines if line.sign == "-"] == [
        "deployment.worker_queues.default",
        "deployment.worker_queues.a-first",
        "deployment.worker_queues.heavy",
    ]
    assert not made.queues.exists()
    made, _ = apply(
        workspace,
        alice,
        named(configuration={"executor": "celery"}, worker_queues=[{"name": "default"}, {"name": "b"}]),
    )
    assert set(made.queues.values_list("name", flat=True)) == {"default", "b"}


def test_a_change_in_between_makes_the_plan_stale_and_nothing_is_written(rich, alice, bob, workspace):
    seen = base_of(rich)
    set_variable(deployment=rich, by=bob, key="TOKEN2", value="x", secret=True, seen=None)
    with pytest.raises(PlanStale):
        apply(workspace, alice, named(environment_variables=[]), base=seen)
    assert set(vault.variables_of(rich)) == {"PLAIN", "TOKEN", "EMPTY", "TOKEN2"}


def test_another_value_of_a_secret_alone_makes_the_plan_stale(rich, alice, workspace):
    seen = base_of(rich)
    at = rich.variables.get(key="TOKEN").updated_at
    set_variable(deployment=rich, by=alice, key="TOKEN", value="louder", secret=True, seen=at)
    assert base_of(rich) != seen


def test_what_cannot_be_done_leaves_nothing_half_done(rich, alice, workspace, choices, monkeypatch):
    before = document_of(rich)
    create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices("Taken"))
    document = document_of(rich)
    document["deployment"]["configuration"] |= {"name": "taken"}
    document["deployment"]["environment_variables"] = []
    with pytest.raises(Exception, match="no other Deployment"):
        apply(workspace, alice, document)

    def break_(**_):
        raise RuntimeError("the last step breaks")

    monkeypatch.setattr("deployments.actions.deployment_files.set_schedule", break_)
    document = document_of(rich)
    document["deployment"] |= {"environment_variables": [], "hibernation_schedules": []}
    document["deployment"]["configuration"]["scheduler_au"] = 9
    with pytest.raises(RuntimeError):
        apply(workspace, alice, document)
    assert document_of(Deployment.objects.get(pk=rich.pk)) == before


def test_a_deployment_that_is_being_created_is_not_changed(rich, alice, workspace):
    being_created(rich)
    with pytest.raises(NotNow):
        apply(workspace, alice, named(configuration={"scheduler_au": 9}))


def test_a_copied_file_with_another_name_renames_and_without_its_release_name_makes_another(
    rich, alice, workspace
):
    document = document_of(rich)
    document["deployment"]["configuration"]["name"] = "Other"
    assert target_of(workspace, read(document)) == rich
    del document["deployment"]["metadata"]
    assert target_of(workspace, read(document)) is None


def test_a_file_finds_no_deployment_of_another_workspace(rich, charlie, cluster):
    theirs = charlie.memberships.get().workspace
    assert target_of(theirs, read(document_of(rich))) is None


def test_a_refused_file_says_every_path_and_keeps_everything(rich, alice, workspace):
    before = document_of(rich)
    document = named(
        configuration={"scheduler_au": 99, "cluster_name": "elsewhere"},
        worker_queues=[{"name": "default", "worker_type": "huge"}, {"name": "Bad_", "min_worker_count": -1}],
        environment_variables=[
            {"key": "AIRFLOW_HOME", "value": "x"},
            {"key": "B", "is_secret": True, "value": ""},
        ],
        hibernation_schedules=[{"hibernate_at": "never", "time_zone": "Mars"}],
    )
    with pytest.raises(FileRefused) as refused:
        apply(workspace, alice, document)
    assert sorted(refused.value.problems) == [
        "deployment.configuration.cluster_name",
        "deployment.configuration.scheduler_au",
        "deployment.environment_variables[0].key",
        "deployment.environment_variables[1].value",
        "deployment.hibernation_schedules[0].hibernate_at",
        "deployment.hibernation_schedules[0].time_zone",
        "deployment.worker_queues[0].worker_type",
        "deployment.worker_queues[1].min_worker_count",
        "deployment.worker_queues[1].name",
    ]
    assert document_of(rich) == before


def test_creating_refuses_by_itself_what_no_plan_judged(workspace, alice, choices):
    from deployments.actions.furnishing import Furnishing

    wrong = Furnishing(
        queues={"B_": {"worker_type": "small", "min_workers": 5, "max_workers": 1, "concurrency": 1}}
    )
    with pytest.raises(Exception, match="lowercase letter"):
        create_deployment(
            workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices(), furnishing=wrong
        )
    assert not Deployment.objects.exists()
