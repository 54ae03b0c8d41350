"""What rules see in the readings of Airflows. A reading that is old says nothing of now, and neither does one of a
Deployment that does not run: then nothing opens and nothing ends. Rows come with their reading."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, Max, Q

from console.kit.text import one_line
from console.kit.wording import counted, listed, rough
from deployments.domain.alert_rules import RuleKind
from deployments.domain.import_words import not_imported
from deployments.domain.states import Executor, Status
from deployments.models import (
    Alert,
    AlertRule,
    Dag,
    Deployment,
    FailedRun,
    LatestReading,
    StatusChange,
    WorkerQueue,
)
from deployments.queries.alert_looks import NO_DATA, Firing, Key, RuleLook, Watched
from deployments.queries.readings import latest

RUNS = frozenset({Status.HEALTHY, Status.UNHEALTHY, Status.DEPLOYING})
STEADY = frozenset({Status.HEALTHY, Status.UNHEALTHY})
MOST_NAMES = 5
PAUSED = "The DAG was paused, so no success of it is waited for."

type Reported = tuple[bool, datetime | None]


def _each(
    watched: Watched,
    judge: Callable[[AlertRule, Deployment, LatestReading], RuleLook],
    statuses: frozenset[Status] = RUNS,
) -> Mapping[Key, RuleLook]:
    """What each rule sees in the fresh reading of its Deployment; without one it has no data."""
    looks = {}
    for rule, row in watched:
        reading = latest(row)
        if reading is not None and reading.is_fresh and row.shown_status in statuses:
            looks[rule.pk, row.pk] = judge(rule, row, reading)
        else:
            looks[rule.pk, row.pk] = NO_DATA
    return looks


def _ids(watched: Watched) -> set[UUID]:
    return {row.pk for _, row in watched}


def run_failed(watched: Watched, now: datetime) -> Mapping[Key, RuleLook]:
    """DAGs of which a run failed after their last success. What failed before the rule was switched on is no news; a
    DAG that is no longer in the code is not waited for, nor is a paused one. Airflow itself pauses a DAG that fails too
    often, so a failure of a paused one is reported once. Three queries."""
    newest = FailedRun.objects.filter(deployment__in=_ids(watched))
    newest = newest.order_by("deployment", "dag_id", "-ended_at").distinct("deployment", "dag_id")
    failed: dict[UUID, list[FailedRun]] = defaultdict(list)
    for run in newest:
        failed[run.deployment_id].append(run)
    ids = {run.dag_id for runs in failed.values() for run in runs}
    found = Dag.objects.filter(deployment__in=failed, dag_id__in=ids)
    columns = found.values_list("deployment_id", "dag_id", "last_success_at", "paused")
    dags = {(pk, dag_id): (success, paused) for pk, dag_id, success, paused in columns}
    reported = _reported(failed)

    def judge(rule: AlertRule, row: Deployment, _: LatestReading) -> RuleLook:
        firing, vanished, dropped = [], set(), {}
        for run in failed[row.pk]:
            if (row.pk, run.dag_id) not in dags:
                vanished.add(run.dag_id)
                continue
            success, paused = dags[row.pk, run.dag_id]
            if run.seen_at < rule.since or (success is not None and success >= run.ended_at):
                continue
            is_open, ended_at = reported.get((rule.pk, row.pk, run.dag_id), (False, None))
            if paused and is_open:
                dropped[run.dag_id] = PAUSED
            elif ended_at is None or ended_at < run.seen_at:
                firing.append(_failure(row, run))
        return RuleLook(True, tuple(firing), vanished=frozenset(vanished), dropped=dropped)

    return _each(watched, judge)


def _reported(deployments: Iterable[UUID]) -> Mapping[tuple[UUID | None, UUID | None, str], Reported]:
    """By rule, Deployment and DAG: whether an alert of a failed run is open, and when the last one ended because
    the DAG was paused: what failed before that is no news when it is unpaused. One query; none without Deployments."""
    alerts = Alert.objects.filter(deployment__in=deployments, kind=RuleKind.RUN_FAILED)
    alerts = alerts.filter(Q(resolved_at__isnull=True) | Q(note=PAUSED))
    each = alerts.values("rule_id", "deployment_id", "subject").order_by()
    rows = each.annotate(opened=Count("pk", filter=Q(resolved_at__isnull=True)), ended=Max("resolved_at"))
    return {
        (one["rule_id"], one["deployment_id"], one["subject"]): (one["opened"] > 0, one["ended"])
        for one in rows
    }


def _failure(row: Deployment, run: FailedRun) -> Firing:
    tasks = [one_line(str(each)) for each in run.tasks]
    where = f" in {'task' if len(tasks) == 1 else 'tasks'} {listed(tasks)}" if tasks else ""
    return Firing(
        f"DAG {one_line(run.dag_id)} failed in {one_line(row.name)}",
        f"Run {one_line(run.run_id)} failed{where}. Its log in Airflow says why.",
        run.dag_id,
        row.url_for("dags"),
    )


def no_success(watched: Watched, now: datetime) -> Mapping[Key, RuleLook]:
    """A DAG without a success for so long. A paused one, and one that is not in the code, is not waited for, and what
    was open of it is over; the time counts from when the DAG was first seen or unpaused, the rule switched on, or the
    Deployment woken. Two queries."""
    named = _dags(watched, {rule.dag for rule, _ in watched})
    slept = StatusChange.objects.filter(deployment__in=_ids(watched), old=Status.HIBERNATING)
    woken = dict(
        slept.order_by("deployment", "-at").distinct("deployment").values_list("deployment_id", "at")
    )

    def judge(rule: AlertRule, row: Deployment, _: LatestReading) -> RuleLook:
        dags = named.get((row.pk, rule.dag), [])
        if not dags:
            return RuleLook(known=True, quiet=True)
        firing = []
        for dag in dags:
            begin = max(filter(None, (dag.last_success_at, dag.first_seen_at, rule.since, woken.get(row.pk))))
            if not dag.paused and now - begin >= timedelta(hours=rule.amount or 0):
                firing.append(_no_success(row, dag, now - begin))
        paused = {dag.dag_id: PAUSED for dag in dags if dag.paused}
        return RuleLook(known=True, firing=tuple(firing), dropped=paused)

    return _each(watched, judge)


def _no_success(row: Deployment, dag: Dag, span: timedelta) -> Firing:
    last = f"{dag.last_success_at:%-d %B, %H:%M} UTC" if dag.last_success_at else "never, as far as is known"
    headline = f"DAG {one_line(dag.dag_id)} has not succeeded for {rough(span.total_seconds())}"
    return Firing(
        f"{headline} in {one_line(row.name)}",
        f"Its last success: {last}.",
        dag.dag_id,
        row.url_for("dags"),
    )


def _dags(watched: Watched, names: set[str]) -> Mapping[tuple[UUID, str], list[Dag]]:
    """By Deployment and what a rule calls it: the DAG of that id, else those that are shown by that name, which is what
    people see in Airflow. One query."""
    found = Dag.objects.filter(Q(dag_id__in=names) | Q(name__in=names), deployment__in=_ids(watched))
    by_id, by_name = {}, defaultdict(list)
    for dag in found.defer("runs"):
        by_id[dag.deployment_id, dag.dag_id] = [dag]
        by_name[dag.deployment_id, dag.name].append(dag)
    return {**by_name, **by_id}


def queue_waiting(watched: Watched, now: datetime) -> Mapping[Key, RuleLook]:
    """Tasks that wait that long in a queue with all the workers it may have. One query."""
    queues: dict[UUID, dict[str, WorkerQueue]] = defaultdict(dict)
    for each in WorkerQueue.objects.filter(deployment__in=_ids(watched)):
        queues[each.deployment_id][each.name] = each

    def judge(rule: AlertRule, row: Deployment, reading: LatestReading) -> RuleLook:
        if row.executor != Executor.CELERY:
            return NO_DATA
        firing = []
        for seen in reading.queues:
            queue, waits = queues[row.pk].get(seen["name"]), seen["oldest_seconds"]
            if queue is None or waits is None or queue.live_workers < queue.max_workers:
                continue
            if waits >= (rule.amount or 0) * 60:
                firing.append(_waiting(row, queue, seen["queued"], waits))
        return RuleLook(known=True, firing=tuple(firing))

    return _each(watched, judge, STEADY)


def _waiting(row: Deployment, queue: WorkerQueue, tasks: int, waits: float) -> Firing:
    workers = counted(queue.max_workers, "worker")
    number = "1 task waits" if tasks == 1 else f"{tasks} tasks wait"
    return Firing(
        f"Worker queue {queue.name} of {one_line(row.name)} is full",
        f"{number}, the oldest for {rough(waits)}, and the queue has all of the {workers} that it may have. Raise its "
        "maximum or its concurrency.",
        queue.name,
        row.url_for("queues"),
    )


def queue_missing(watched: Watched, now: datetime) -> Mapping[Key, RuleLook]:
    """Queues in which tasks wait, and that the Deployment does not have. No query."""

    def judge(_: AlertRule, row: Deployment, reading: LatestReading) -> RuleLook:
        where = f"which {one_line(row.name)} does not have"
        firing = tuple(
            Firing(
                f"Tasks wait in worker queue {one_line(name) or 'without a name'}, {where}",
                "No worker will ever take them. Add the queue, or correct its name in the DAG.",
                name,
                row.url_for("queues"),
            )
            for name in reading.lost_queues
        )
        return RuleLook(known=True, firing=firing)

    return _each(watched, judge)


def import_errors(watched: Watched, now: datetime) -> Mapping[Key, RuleLook]:
    """Files that Airflow cannot import. Their names are sent, never what they wrote. No query."""

    def judge(_: AlertRule, row: Deployment, reading: LatestReading) -> RuleLook:
        firing: tuple[Firing, ...] = ()
        if count := reading.import_error_count:
            words = _named([str(each["file"]) for each in reading.import_errors], count)
            firing = (Firing(f"{not_imported(count)} in {one_line(row.name)}", words, path=row.url),)
        return RuleLook(known=True, firing=firing)

    return _each(watched, judge)


def _named(paths: Sequence[str], count: int) -> str:
    shown = [one_line(path) for path in paths if path][:MOST_NAMES]
    more = count - len(shown)
    return listed([*shown, *([f"{more} more"] if more > 0 else [])]) + "." if shown else ""


def scheduler_silent(watched: Watched, now: datetime) -> Mapping[Key, RuleLook]:
    """No heartbeat of a scheduler for so long, as the reading saw it: how old that is by now says nothing of the
    scheduler. No query."""

    def judge(rule: AlertRule, row: Deployment, reading: LatestReading) -> RuleLook:
        silent = reading.scheduler_silence
        if silent is None:
            return NO_DATA
        firing: tuple[Firing, ...] = ()
        if silent >= timedelta(minutes=rule.amount or 0):
            headline = (
                f"The scheduler of {one_line(row.name)} has been silent for {rough(silent.total_seconds())}"
            )
            firing = (Firing(headline, "Nothing new is started. Look at its log.", path=row.url_for("why")),)
        return RuleLook(known=True, firing=firing)

    return _each(watched, judge, STEADY)
