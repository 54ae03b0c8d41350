"""What a change does to running work: the sentences as a table, and the effects against what the drivers do."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.dataplane.local import environment
from deployments.dataplane.local.health.components import component_of
from deployments.dataplane.local.runtimes import runtimes
from deployments.dataplane.local.supervisor import processes
from deployments.domain.code_manifest import CodeVersion
from deployments.domain.spec import QueueLoad, QueueSpec, Release, RuntimeSpec, Secrets, au_size
from deployments.domain.states import Executor
from deployments.presenters.consequences import AIRFLOW, DRAIN_MINUTES, Effects, cuts_off, effects, sentences
from deployments.tests.dataplane.local.test_environment import layout

DEFAULT = QueueSpec("default", 1, 10, 16, au_size(10))
ETL = QueueSpec("etl", 0, 2, 4, au_size(10))
CELERY = Release(
    deployment_id="id",
    release_name="calm-orbit-0012",
    generation=1,
    runtime=RuntimeSpec("3.3-1", "3.3.2"),
    executor=Executor.CELERY,
    scheduler=au_size(5),
    scheduler_replicas=1,
    queues=(DEFAULT, ETL),
)
LOCAL = replace(CELERY, executor=Executor.LOCAL, queues=())
KUBERNETES = replace(LOCAL, executor=Executor.KUBERNETES)
LOADS = {"default": QueueLoad("default", 0, 3, 2), "etl": QueueLoad("etl", 1, 0, 1)}
WAIT = "No new task starts until the scheduler is back, which takes some seconds."
CUT = "Tasks that run in the scheduler are stopped; Airflow starts them again."
LONGER = "Tasks that run in the scheduler get 10 minutes to finish first."
SIZES = "This machine does not enforce sizes, so the new ones change the figures alone."
DRAINS = "2 workers of default drain and are replaced; 3 running tasks get 10 minutes to finish first."


def queues(*changed: QueueSpec) -> Release:
    return replace(CELERY, queues=changed)


TABLE = [
    (CELERY, replace(CELERY, generation=2), True, ["Nothing restarts."]),
    (CELERY, replace(CELERY, scheduler=au_size(6)), True, ["Restarts the scheduler.", WAIT]),
    (CELERY, replace(CELERY, scheduler=au_size(6)), False, ["Nothing restarts.", SIZES]),
    (LOCAL, replace(LOCAL, scheduler=au_size(6)), True, ["Restarts the scheduler.", LONGER]),
    (
        LOCAL,
        replace(LOCAL, environment={"A": "b"}),
        False,
        ["Restarts the API server, the scheduler, the DAG processor and the triggerer.", CUT],
    ),
    (LOCAL, replace(LOCAL, scheduler_replicas=3), False, ["Nothing restarts.", "Starts 2 more schedulers."]),
    (CELERY, replace(CELERY, scheduler_replicas=2), True, ["Nothing restarts.", "Starts 1 more scheduler."]),
    (
        replace(LOCAL, scheduler_replicas=2),
        LOCAL,
        False,
        [
            "Nothing restarts.",
            "Ends 1 scheduler.",
            "Tasks that run in it are stopped; Airflow starts them again.",
        ],
    ),
    (
        CELERY,
        queues(replace(DEFAULT, concurrency=8), ETL),
        True,
        ["Restarts the scheduler.", WAIT, DRAINS],
    ),
    (CELERY, queues(replace(DEFAULT, size=au_size(20)), ETL), True, ["Nothing restarts.", DRAINS]),
    (CELERY, queues(replace(DEFAULT, size=au_size(20)), ETL), False, ["Nothing restarts.", SIZES]),
    (CELERY, queues(replace(DEFAULT, max_workers=12), ETL), True, ["Restarts the scheduler.", WAIT]),
    (
        CELERY,
        queues(replace(DEFAULT, max_workers=1), ETL),
        True,
        [
            "Restarts the scheduler.",
            WAIT,
            "1 worker of default drains; 3 running tasks get 10 minutes to finish first.",
        ],
    ),
    (
        CELERY,
        queues(replace(DEFAULT, min_workers=4), ETL),
        True,
        ["Nothing restarts.", "Starts 2 more workers of default."],
    ),
    (CELERY, queues(replace(DEFAULT, min_workers=0), ETL), True, ["Nothing restarts."]),
    (
        CELERY,
        queues(DEFAULT),
        True,
        [
            "Restarts the scheduler.",
            WAIT,
            "Queue etl is dropped; tasks waiting for it stay queued.",
            "1 worker of etl drains; nothing runs on it now.",
        ],
    ),
    (
        queues(DEFAULT),
        CELERY,
        False,
        ["Restarts the scheduler.", WAIT, "Starts queue etl with no worker yet."],
    ),
    (
        CELERY,
        LOCAL,
        False,
        [
            "Changes the executor from Celery to Local.",
            "4 running or queued tasks start again under the new executor.",
            "Queues default and etl are dropped with all settings; tasks that name a queue run without one.",
            "Restarts the API server, the scheduler, the DAG processor and the triggerer.",
            WAIT,
        ],
    ),
    (
        KUBERNETES,
        queues(DEFAULT),
        True,
        [
            "Changes the executor from Kubernetes to Celery.",
            "Running tasks are stopped and start again under the new executor.",
            "Restarts the API server, the scheduler, the DAG processor and the triggerer.",
            WAIT,
            "Starts queue default with 1 worker.",
        ],
    ),
    (
        LOCAL,
        queues(DEFAULT),
        False,
        [
            "Changes the executor from Local to Celery.",
            "Running tasks are stopped and start again under the new executor.",
            "Restarts the API server, the scheduler, the DAG processor and the triggerer.",
            WAIT,
            "Starts queue default with 1 worker.",
        ],
    ),
    (
        CELERY,
        replace(CELERY, environment={"A": "b"}),
        True,
        [
            "Restarts the API server, the scheduler, the DAG processor and the triggerer.",
            WAIT,
            DRAINS,
            "1 worker of etl drains and is replaced; nothing runs on it now.",
        ],
    ),
    (
        replace(CELERY, hibernating=True),
        replace(CELERY, hibernating=True, scheduler=au_size(6)),
        True,
        ["Nothing runs now, so nothing restarts. The changes take effect when it wakes."],
    ),
]


@pytest.mark.parametrize(("old", "new", "sized", "message"), TABLE)
def test_each_change_is_told_in_plain_words(
    old: Release, new: Release, sized: bool, message: list[str]
) -> None:
    assert sentences(old, new, LOADS, sized=sized) == message


@pytest.mark.parametrize(("old", "new", "sized", "message"), TABLE)
def test_tasks_are_counted_exactly_where_some_are_cut_off(
    old: Release, new: Release, sized: bool, message: list[str]
) -> None:
    assert cuts_off(old, new, sized=sized) == any("are stopped" in sentence for sentence in message)


def test_every_driver_gives_workers_the_time_that_the_sentence_promises() -> None:
    assert processes.DRAIN_SECONDS == DRAIN_MINUTES * 60


def queue_specs(name: str) -> st.SearchStrategy[QueueSpec]:
    number = st.sampled_from([1, 2, 16])
    return st.builds(
        QueueSpec, st.just(name), st.just(1), number, number, st.sampled_from([au_size(5), au_size(10)])
    )


@st.composite
def releases(draw: st.DrawFn, *more: Executor) -> Release:
    executor = draw(st.sampled_from([Executor.CELERY, Executor.CELERY, Executor.LOCAL, *more]))
    names = ["default", *draw(st.lists(st.sampled_from(["etl", "ml"]), unique=True, max_size=2))]
    return replace(
        CELERY,
        generation=draw(st.integers(1, 9)),
        executor=executor,
        queues=tuple(draw(queue_specs(name)) for name in names) if executor is Executor.CELERY else (),
        scheduler=draw(st.sampled_from([au_size(5), au_size(6)])),
        scheduler_replicas=draw(st.integers(1, 3)),
        environment=draw(st.sampled_from([{}, {"A": "b"}])),
    )


@st.composite
def with_code(draw: st.DrawFn) -> Release:
    """Code and packages too; a cluster has them in its image."""
    codes = [None, CodeVersion("1-a", "a"), CodeVersion("2-b", "b"), CodeVersion("3-c", "c", "plugins")]
    packages = draw(st.sampled_from(["", "a" * 64, "b" * 64]))
    return replace(draw(releases()), code=draw(st.sampled_from(codes)), packages=packages)


def local_programs(release: Release) -> dict[str, str]:
    """The digest of every program that this machine would run: another one is a restart of that program."""
    secrets = Secrets("FERNET", "JWT", "API", "DATABASE", "REDIS", "ADMIN", "SIGN-IN")
    place = replace(
        layout(), python=Path(f"/{runtimes.environment(release.runtime.version, release.packages)}/python")
    )
    specs = environment.static_specs(release, secrets, place)
    for queue in release.queues:
        name = environment.worker_name(queue.name, 1)
        specs[name] = environment.worker_spec(release, secrets, place, queue=queue, slot=1)
    return {name: spec.digest for name, spec in specs.items() if name != "redis"}


def queue_names(programs: Mapping[str, str] | set[str]) -> set[str]:
    return {component_of(name).removeprefix("worker-") for name in programs if name.startswith("worker-")}


@given(with_code(), with_code())
@settings(max_examples=60, deadline=None)
def test_the_effects_are_what_the_local_driver_does(old: Release, new: Release) -> None:
    before, after = local_programs(old), local_programs(new)
    changed = {name for name in before if name in after and before[name] != after[name]}
    reported = effects(old, new, sized=False)
    assert set(reported.restarts) == {component_of(name) for name in changed} & set(AIRFLOW)
    assert set(reported.replaced) == queue_names(changed)
    assert set(reported.dropped) == queue_names(set(before) - set(after))
    assert set(reported.added) == queue_names(set(after) - set(before))
    starts = [name for name in set(after) - set(before) if component_of(name) == "scheduler"]
    ends = [name for name in set(before) - set(after) if component_of(name) == "scheduler"]
    assert reported.schedulers == len(starts) - len(ends)


@given(releases(), releases())
@settings(max_examples=40, deadline=None)
def test_the_same_release_has_no_effect_and_every_change_is_told(old: Release, new: Release) -> None:
    assert effects(old, replace(old, generation=99), sized=True) == Effects()
    assert sentences(old, new, LOADS, sized=True)
    assert all(sentence.endswith(".") for sentence in sentences(old, new, LOADS, sized=True))
