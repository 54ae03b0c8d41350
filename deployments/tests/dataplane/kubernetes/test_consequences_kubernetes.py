"""What the review of an edit says of restarts, against the pod templates that Kubernetes would be given."""

from dataclasses import replace

from hypothesis import given, settings

from deployments.dataplane.kubernetes import names
from deployments.domain.spec import Release
from deployments.domain.states import Executor
from deployments.presenters.consequences import AIRFLOW, DRAIN_MINUTES, effects
from deployments.tests.dataplane.kubernetes import samples
from deployments.tests.presenters.test_consequences import releases


def templates(release: Release) -> dict[str, object]:
    """The pod template of every Kubernetes Deployment but Redis: another one is a restart."""
    asked = replace(samples.inputs(), release=release, workers={})
    found = samples.lasting(asked)
    return {
        name: each["spec"]["template"]
        for (kind, name), each in found.items()
        if kind == "Deployment" and name != names.REDIS
    }


@given(releases(Executor.KUBERNETES), releases(Executor.KUBERNETES))
@settings(max_examples=60, deadline=None)
def test_the_effects_are_what_kubernetes_does(old: Release, new: Release) -> None:
    before, after = templates(old), templates(new)
    changed = {name for name in before if name in after and before[name] != after[name]}
    reported = effects(old, new, sized=True)
    assert set(reported.restarts) == changed & set(AIRFLOW)
    assert {names.worker(queue) for queue in reported.replaced} == changed - set(AIRFLOW)
    assert {names.worker(queue) for queue in reported.dropped} == set(before) - set(after)
    assert {names.worker(queue) for queue in reported.added} == set(after) - set(before)


def test_kubernetes_gives_workers_the_time_that_the_sentence_promises() -> None:
    assert samples.inputs(settings={}).settings.worker_grace == DRAIN_MINUTES * 60
