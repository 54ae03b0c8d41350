"""Warm starts against cold ones of the same processes: a creation under Celery, a wake, a restart, and memory."""

import os
import signal
import time
from collections.abc import Sequence

import psutil
import psycopg

from console.bench import airflow
from console.bench.result import Figure, Result, each, median
from console.embedded import postgres
from console.tests.system.installation import Installation, wait_until
from deployments.dataplane.local.supervisor.processes import tagged
from deployments.dataplane.postgres import databases

REPEATS = 3
MUST_CELERY, MUST_WAKE, MUST_RESTART = 0.40, 0.35, 0.40
MUST_MEMORY = {1: 0.95, 5: 0.75}
LIMIT_SECONDS = 180.0
POLL_SECONDS = 0.05
SETTLED_SECONDS = 20.0  # what ended within 15 s of a warm start is started cold the next time
IDLE_SECONDS = 30.0
BEAT = (
    "SELECT count(*) FROM job WHERE job_type = 'SchedulerJob' AND latest_heartbeat > start_date "
    "AND start_date > to_timestamp(%s)"
)

METHOD = (
    f"In turn, {REPEATS} times each, on one installation whose runtime is installed; cold starts are those of "
    "launchers that are kept from the parent. Celery: from the press of Create Deployment until the row says Healthy "
    "for the first time, warm and cold. Wake: from the press of Wake up until the row says Healthy, against a cold "
    "creation under the Local executor. Restart: the scheduler is killed, and the clock stops at the first heartbeat "
    "after the one with which its new job began. Memory is the sum of PSS of everything that belongs to Healthy "
    "Deployments under Celery, and of the parent when they were started warm, "
    f"{SETTLED_SECONDS:.0f} s after the last one was Healthy; of one, and of five."
)


def measure(at: Installation) -> Result:
    """Each in turn, warm and cold."""
    airflow.ensure_healthy(at)  # whatever is made once per runtime is made
    airflow.ensure_none(at)
    celery = _in_turn(at, "celery")
    local_cold, woken = [], []
    for _ in range(REPEATS):
        with airflow.cold_starts(at):
            local_cold.append(airflow.create(at).recorded)
        (release,) = airflow.names(at)
        airflow.press_sleep_or_wake(at, release, "hibernating")
        woken.append(airflow.press_sleep_or_wake(at, release, "healthy"))
        airflow.ensure_none(at)
    restarts = _restarts(at)
    figures = [
        _figure(
            "Create to Healthy recorded, Celery executor, parent warm, against cold", *celery, MUST_CELERY
        ),
        _figure("Wake to Healthy, against a cold creation", woken, local_cold, MUST_WAKE),
        _figure("A killed scheduler to its next heartbeat, against cold", *restarts, MUST_RESTART),
        *(_memory(at, count) for count in sorted(MUST_MEMORY)),
        _idle(at),
    ]
    details = (
        f"Under Celery warm {each(celery[0], 's')}, cold {each(celery[1], 's')}.",
        f"Wakes took {each(woken, 's')}, cold creations {each(local_cold, 's')}.",
        f"Restarts took warm {each(restarts[0], 's')}, cold {each(restarts[1], 's')}.",
    )
    return Result(tuple(figures), METHOD, details)


def _figure(what: str, warm: Sequence[float], cold: Sequence[float], must: float) -> Figure:
    ratio = median(warm) / median(cold)
    measured = f"{ratio:.2f} ({median(warm):.1f} s against {median(cold):.1f} s)"
    return Figure(what, f"at most {must:.2f}", measured, ratio <= must)


def _in_turn(at: Installation, executor: str) -> tuple[list[float], list[float]]:
    """Seconds of creations, warm and cold."""
    warm, cold = [], []
    for _ in range(REPEATS):
        warm.append(airflow.create(at, executor).recorded)
        airflow.ensure_none(at)
        with airflow.cold_starts(at):
            cold.append(airflow.create(at, executor).recorded)
        airflow.ensure_none(at)
    return warm, cold


def _restarts(at: Installation) -> tuple[list[float], list[float]]:
    release = airflow.ensure_healthy(at)
    warm, cold = [], []
    for _ in range(REPEATS):
        time.sleep(SETTLED_SECONDS)
        warm.append(kill(at, release))
        time.sleep(SETTLED_SECONDS)
        with airflow.cold_starts(at):
            cold.append(kill(at, release))
    airflow.ensure_none(at)
    return warm, cold


def kill(at: Installation, release: str) -> float:
    """Seconds from the death of the scheduler until its successor's first heartbeat."""
    with psycopg.connect(
        postgres.url(at.state, databases.database_name(release)), autocommit=True
    ) as airflows:
        since, begun = time.time(), time.monotonic()
        os.kill(at.pid(f"{release}.scheduler-1"), signal.SIGKILL)
        wait_until(
            lambda: airflows.execute(BEAT, [since]).fetchone() == (1,),
            LIMIT_SECONDS,
            lambda: at.story(release),
            POLL_SECONDS,
        )
        return time.monotonic() - begun


def _memory(at: Installation, count: int) -> Figure:
    """Of `count` Deployments, warm and cold."""
    warm = _made(at, count) + _pss([airflow.parent(at)])
    with airflow.cold_starts(at):
        cold = _made(at, count)
    ratio, must = warm / cold, MUST_MEMORY[count]
    what = "one Healthy Celery Deployment" if count == 1 else f"{count} Healthy Celery Deployments"
    measured = f"{ratio:.2f} ({warm:.0f} MiB against {cold:.0f} MiB)"
    return Figure(
        f"Memory (PSS) of {what} with the parent, against cold",
        f"at most {must:.2f}",
        measured,
        ratio <= must,
    )


def _made(at: Installation, count: int) -> float:
    """MiB of that many Deployments, one made after the other, all at the end together; they are deleted again."""
    releases = {
        at.create_deployment(f"Memory {number}", executor="celery"): f"Memory {number}"
        for number in range(count)
    }
    for release in releases:
        at.wait_status(release, "Healthy", LIMIT_SECONDS * count)
    time.sleep(SETTLED_SECONDS)
    used = sum(_pss([process.pid for process in tagged(at.state.root, release)]) for release in releases)
    for release, name in releases.items():
        at.delete_deployment(release, name)
        at.wait_status(release, "Deleted")
    return used


def _pss(pids: list[int]) -> float:
    return sum(psutil.Process(pid).memory_full_info().pss for pid in pids if pid) / 2**20


def _idle(at: Installation) -> Figure:
    """CPU of the parent while no program asks it."""
    airflow.ensure_healthy(at)
    process = psutil.Process(airflow.parent(at))
    before = process.cpu_times()
    time.sleep(IDLE_SECONDS)
    after = process.cpu_times()
    used = round(after.user - before.user + after.system - before.system, 3)  # the kernel counts hundredths
    return Figure("CPU of the parent while idle", "0", f"{used:g} s in {IDLE_SECONDS:.0f} s", used == 0)
