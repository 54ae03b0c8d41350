"""The figures beside the form are those of the objects that are requested of the cluster."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.text import cores, memory
from deployments.domain.spec import QueueSpec, Size, au_size
from deployments.domain.states import Executor
from deployments.presenters.size_summary import Asked, size_text, summary
from deployments.tests.dataplane.kubernetes import samples
from deployments.tests.pages.test_create import posted  # noqa: F401 - a fixture

queue_specs = st.builds(
    lambda name, low, more, concurrency, au: QueueSpec(
        name, low, max(1, low + more), concurrency, au_size(au)
    ),
    st.sampled_from(["b", "c", "d"]),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(1, 64),
    st.integers(1, 40),
)


def requested(container: dict) -> Size:
    asked = container["resources"]["requests"]
    return Size(round(cores(asked["cpu"]) * 1000), round(memory(asked["memory"]) / 1024**2))


def of_objects(asked: Asked) -> tuple[Size, dict[str, Size]]:
    """All that the rendered workloads request when every queue is at its most, and by component."""
    release = asked.release
    inputs = samples.inputs(
        asked.executor,
        scheduler=release.scheduler,
        scheduler_replicas=release.scheduler_replicas,
        queues=release.queues,
        settings={},
    )
    inputs = replace(inputs, workers={queue.name: queue.max_workers for queue in release.queues})
    found = {}
    for (kind, name), each in samples.lasting(inputs).items():
        if kind == "Deployment":
            (container,) = each["spec"]["template"]["spec"]["containers"]
            found[name] = requested(container) * each["spec"]["replicas"]
    if asked.executor is Executor.KUBERNETES:
        (pod,) = (spec for name, _, spec in samples.pods(samples.documents(inputs)) if "ConfigMap" in name)
        found[names.TASK] = requested(pod["containers"][0]) * release.parallelism
    return sum(found.values(), Size(0, 0)), found


@settings(max_examples=60, deadline=None)
@given(
    executor=st.sampled_from(list(Executor)),
    au=st.integers(5, 24),
    replicas=st.integers(1, 4),
    own=queue_specs,
    others=st.lists(queue_specs, max_size=3, unique_by=lambda queue: queue.name),
)
def test_the_figures_are_those_of_the_objects(executor, au, replicas, own, others):
    celery = executor is Executor.CELERY
    asked = Asked(
        celery=celery,
        scheduler_au=au,
        scheduler_replicas=replicas,
        worker=own.size,
        worker_name="A",
        min_workers=own.min_workers,
        max_workers=own.max_workers,
        concurrency=own.concurrency,
        others=tuple(others),
        pods=True,
        executor=executor,
    )
    total, by_name = of_objects(asked)
    lines = {line.label: line for line in summary(asked)}
    assert lines["Maximum total"].value == size_text(total)
    for label, name in (("Scheduler", "scheduler"), ("API server", "api-server"), ("Triggerer", "triggerer")):
        assert lines[label].value == size_text(by_name[name])
    assert ("Redis" in lines) is celery
    if executor is Executor.KUBERNETES:
        assert lines["Task pods at most"].value == size_text(by_name[names.TASK])
        assert re.match(r"32 pods of 0\.5 CPU", lines["Task pods at most"].detail)
        assert lines["Concurrent tasks"].detail == "each in a pod of its own"


def test_without_a_figure_there_is_a_dash():
    asked = Asked(celery=False, scheduler_au=None, scheduler_replicas=1, pods=True, executor=Executor.LOCAL)
    lines = {line.label: line.value for line in summary(asked)}
    assert lines["Maximum total"] == "–"


@pytest.mark.django_db
def test_the_form_of_a_kubernetes_cluster_shows_them(as_, bob, workspace, posted, production):  # noqa: F811
    url = f"/w/{workspace.pk}/deployments/new/summary/"
    sent = posted(cluster=str(production.pk), executor="kubernetes", worker_type="A5")
    lines = {line.label: line.detail for line in as_(bob).post(url, sent).context["summary"]}
    assert lines["Concurrent tasks"] == "each in a pod of its own"
    assert "DAG processor" in lines
