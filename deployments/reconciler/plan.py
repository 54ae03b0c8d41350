"""What to do and what to say, decided from plain values. Pure: no Django, no I/O, no clock."""

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from deployments.dataplane.contract import Component, Observation, Outcome, Progress
from deployments.domain.component_titles import title
from deployments.domain.spec import QueueSpec, Release, desired_workers
from deployments.domain.states import WORST_FIRST, ComponentState, Status

SCALE_DOWN_AFTER = timedelta(minutes=5)
BACKOFF_CAP = 60.0

# How soon a row is looked at again when no hint comes first, in seconds.
REST_WAITING = 1.0
REST_WATCHED = 3.0  # while waiting for what the data plane reports by itself
REST_UNREACHABLE = 10.0  # while nothing of it can work; a watcher reports when that is over
REST_SCALED = 10.0  # a Celery Deployment's queues are evaluated every 10 s


@dataclass(frozen=True)
class Verdict:
    """The consolidated status, and the sentence that says why and what to do (empty when every component is ready)."""

    status: Status
    reason: str = ""


def needs_apply(release: Release, observation: Observation, workers: Mapping[str, int]) -> bool:
    """Whether anything observed differs from what is desired."""
    if observation.unreachable_reason:
        return False  # nothing can be done
    if observation.digest != release.digest or observation.drifted:
        return True
    if not (observation.asleep if release.hibernating else observation.ready):
        return True
    return any(load.workers != workers.get(load.name, load.workers) for load in observation.queues)


def worst(components: tuple[Component, ...]) -> Component | None:
    """The component that keeps the Deployment from being Healthy, or None."""
    bad = [c for c in components if c.state is not ComponentState.READY]
    return min(bad, key=lambda c: WORST_FIRST.index(c.state), default=None)


def is_serving(release: Release, components: tuple[Component, ...]) -> bool:
    """Whether every component does its part. Workers beyond a queue's min come and go with the load: while they only
    start, nothing is wrong, nor while more than are desired end."""
    least = {f"worker-{queue.name}": queue.min_workers for queue in release.queues}
    return bool(components) and all(
        c.state is ComponentState.READY
        or (c.state is ComponentState.STARTING and c.ready >= least.get(c.name, math.inf))
        or (c.state is ComponentState.STOPPING and c.ready >= c.desired)
        for c in components
    )


def component_sentence(component: Component, others: tuple[Component, ...] = ()) -> str:
    """What is wrong with a component, with its last error line when it has one. Those of `others` of which nothing
    works either are named: one that crashes does not hide one that has just died."""
    reason = component.reason or f"{component.name} is not ready."
    down = (ComponentState.FAILING, ComponentState.ABSENT, ComponentState.STARTING)
    idle = [title(c.name) for c in others if c != component and c.state in down and c.ready == 0]
    if idle:
        reason = f"{reason} Also not ready: {', '.join(idle)}."
    return f"{reason} Last line: {component.last_line}" if component.last_line else reason


def verdict(
    *, release: Release, observation: Observation, progress: Progress | None, was_healthy: bool
) -> Verdict:
    """The status of a Deployment that is not to be deleted.

    CREATING until every component is ready for the first time; DEPLOYING while a changed Release rolls out;
    UNHEALTHY when what was applied stopped being ready; HIBERNATING when nothing runs because nothing should.
    """
    applied = observation.digest == release.digest
    if release.hibernating and applied and observation.asleep:
        return Verdict(Status.HIBERNATING)
    culprit = worst(observation.components)
    awake = applied and not (release.hibernating or observation.unreachable_reason)
    if awake and is_serving(release, observation.components):
        return Verdict(Status.HEALTHY, component_sentence(culprit) if culprit else "")
    reason = _reason(observation, progress, culprit)
    if not was_healthy:
        return Verdict(Status.CREATING, reason)
    if applied or not observation.digest:
        return Verdict(Status.UNHEALTHY, reason)
    return Verdict(Status.DEPLOYING, reason)


def _reason(observation: Observation, progress: Progress | None, culprit: Component | None) -> str:
    """Why it is not Healthy: what fails goes before what is under way, and that before what only starts."""
    if observation.unreachable_reason:
        return observation.unreachable_reason
    if culprit and culprit.state is ComponentState.FAILING:
        return component_sentence(culprit, observation.components)
    if progress and progress.outcome is not Outcome.FINISHED:
        return progress.sentence
    if culprit:
        return component_sentence(culprit)
    return "Waiting for the first observation."


def backoff(failures: int) -> float:
    """Seconds until the next try after `failures` failed ones in a row: 2, 4, 8 ... 60, each +-20 %."""
    return min(BACKOFF_CAP, 2.0 ** min(failures, 6)) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter


def next_delay(
    status: Status,
    progress: Progress | None,
    *,
    healthy: float,
    scaled: bool,
    watched: bool = False,
    editable: bool = True,
) -> float:
    """Seconds until the next look when nothing happens: `healthy` is the data plane's `healthy_rest`; `watched` when it
    reports changes by itself; not `editable` while workers start. 0 after progress: the next step starts at once."""
    if progress and progress.outcome is Outcome.PROGRESSED:
        return 0.0
    if status is Status.HIBERNATING:
        return healthy
    if status is Status.HEALTHY and editable:
        return REST_SCALED if scaled else healthy
    return REST_WATCHED if watched else REST_WAITING


def until_fewer(scale_down_since: Iterable[datetime | None], now: datetime) -> float:
    """Seconds until the first queue for which fewer workers would do may have fewer; infinite when none waits."""
    return min(
        (max(0.0, (since + SCALE_DOWN_AFTER - now).total_seconds()) for since in scale_down_since if since),
        default=math.inf,
    )


def scale(
    queue: QueueSpec,
    *,
    desired: int,
    queued: int,
    running: int,
    scale_down_since: datetime | None,
    now: datetime,
) -> tuple[int, datetime | None]:
    """The desired number of workers, and since when fewer would do. Up at once; down after five minutes in which
    fewer would always have done."""
    want = desired_workers(queue, queued, running)
    floor = max(queue.min_workers, min(desired, queue.max_workers))
    if want >= floor:
        return want, None
    if scale_down_since is None:
        return floor, now
    if now - scale_down_since < SCALE_DOWN_AFTER:
        return floor, scale_down_since
    return want, None
