"""What a change of a Release does to what runs, before anybody makes it. Pure: no Django, no I/O.

`effects` says which components restart; deployments/tests/test_consequences.py holds it to what the drivers do.
`sentences` says the same to a person, with the numbers of now.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from console.kit.wording import counted, listed
from deployments.domain.component_titles import within
from deployments.domain.spec import QueueLoad, QueueSpec, Release
from deployments.domain.states import Executor

AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer")
DRAIN_MINUTES = 10  # what every driver gives a worker to finish its tasks


@dataclass(frozen=True)
class Effects:
    """What happens to the components. A component is in `restarts` when each running instance of it ends and comes
    back; the workers of a queue in `replaced` finish their tasks while others take their place."""

    restarts: tuple[str, ...] = ()  # of AIRFLOW, in its order
    schedulers: int = 0  # how many more, or fewer
    replaced: tuple[str, ...] = ()  # queues
    dropped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def effects(old: Release, new: Release, *, sized: bool) -> Effects:
    """What going from `old` to `new` does. `sized` says that the data plane enforces sizes, as Kubernetes does."""
    if new.hibernating and old.hibernating:
        return Effects()
    was, will = _by_name(old), _by_name(new)
    staying = [name for name in will if name in was]
    everything = _environment(old) != _environment(new)
    scheduler = old.parallelism != new.parallelism or (sized and old.scheduler != new.scheduler)
    return Effects(
        restarts=AIRFLOW if everything else ("scheduler",) if scheduler else (),
        schedulers=new.scheduler_replicas - old.scheduler_replicas,
        replaced=tuple(n for n in staying if everything or _worker(was[n], sized) != _worker(will[n], sized)),
        dropped=tuple(name for name in was if name not in will),
        added=tuple(name for name in will if name not in was),
    )


def sentences(old: Release, new: Release, loads: Mapping[str, QueueLoad], *, sized: bool) -> list[str]:
    """What going from `old` to `new` does to running work, in plain words; `loads` is what each queue does now."""
    if old.digest == new.digest:
        return ["Nothing restarts."]
    if new.hibernating and old.hibernating:
        return ["Nothing runs now, so nothing restarts. The changes take effect when it wakes."]
    done = effects(old, new, sized=sized)
    message = [
        *_executor(old, new, loads),
        *_restarts(old, new, done, sized=sized),
        *_schedulers(old, done, sized=sized),
        *_queues(old, new, done, loads),
    ]
    if not done.restarts:
        message.insert(0, "Nothing restarts.")
    if not sized and (old.scheduler != new.scheduler or _resized(old, new)):
        message.append("This machine does not enforce sizes, so the new ones change the figures alone.")
    return message


def cuts_off(old: Release, new: Release, *, sized: bool) -> bool:
    """Whether tasks that run now end before they are done, so that a person should know how many."""
    if old.digest == new.digest or old.hibernating or old.executor is Executor.CELERY:
        return False
    if old.executor is not new.executor:
        return True
    done = effects(old, new, sized=sized)
    return (
        old.executor is Executor.LOCAL and not sized and ("scheduler" in done.restarts or done.schedulers < 0)
    )


def _environment(release: Release) -> tuple[object, ...]:
    """What every Airflow process is given."""
    variables = tuple(sorted(release.environment.items())), tuple(sorted(release.secret_marks.items()))
    plugins = release.code.plugins if release.code else ""
    settings = (
        release.runtime,
        release.executor,
        release.hibernating,
        release.packages,
        release.image,
        plugins,
    )
    return (*settings, *variables)


def _by_name(release: Release) -> dict[str, QueueSpec]:
    return {queue.name: queue for queue in release.queues}


def _worker(queue: QueueSpec, sized: bool) -> tuple[object, ...]:
    """What one worker of the queue is given."""
    return (queue.concurrency, queue.size if sized else None)


def _resized(old: Release, new: Release) -> bool:
    was = _by_name(old)
    return any(was[queue.name].size != queue.size for queue in new.queues if queue.name in was)


def _executor(old: Release, new: Release, loads: Mapping[str, QueueLoad]) -> list[str]:
    if old.executor is new.executor:
        return []
    message = [f"Changes the executor from {old.executor.label} to {new.executor.label}."]
    if old.executor is Executor.CELERY:
        running = sum(load.running + load.queued for load in loads.values())
        if running:
            what = _count(running, "running or queued task", "starts again", "start again")
            message.append(f"{what} under the new executor.")
        word, verb = ("Queue", "is") if len(old.queues) == 1 else ("Queues", "are")
        message.append(
            f"{word} {listed(queue.name for queue in old.queues)} {verb} dropped with all settings; "
            "tasks that name a queue run without one."
        )
    else:
        message.append("Running tasks are stopped and start again under the new executor.")
    return message


def _inside(what: str, *, sized: bool) -> str:
    """What becomes of tasks under the Local executor. Kubernetes lets a scheduler end slowly, this machine does not."""
    if sized:
        return f"Tasks that run in {what} get {DRAIN_MINUTES} minutes to finish first."
    return f"Tasks that run in {what} are stopped; Airflow starts them again."


def _restarts(old: Release, new: Release, done: Effects, *, sized: bool) -> list[str]:
    if not done.restarts:
        return []
    message = [f"Restarts {listed('the ' + within(name) for name in done.restarts)}."]
    if old.executor is new.executor is Executor.LOCAL:
        message.append(_inside("the scheduler", sized=sized))
    elif "scheduler" in done.restarts:
        message.append("No new task starts until the scheduler is back, which takes some seconds.")
    return message


def _schedulers(old: Release, done: Effects, *, sized: bool) -> list[str]:
    if not done.schedulers:
        return []
    if done.schedulers > 0:
        return [f"Starts {_number(done.schedulers, 'more scheduler')}."]
    message = [f"Ends {_number(-done.schedulers, 'scheduler')}."]
    if old.executor is Executor.LOCAL and not done.restarts:
        message.append(_inside("it", sized=sized))
    return message


def _queues(old: Release, new: Release, done: Effects, loads: Mapping[str, QueueLoad]) -> list[str]:
    same_executor = old.executor is new.executor
    message = _dropped(done.dropped) if same_executor else []
    for name, queue in {**_by_name(old), **_by_name(new)}.items():
        load = loads.get(name, QueueLoad(name, 0, 0, 0))
        if name in done.dropped:
            message += _drains(name, load.workers, load.running) if same_executor else []
        elif name in done.added:
            message.append(_added(queue))
        elif name in done.replaced:
            message += _drains(name, load.workers, load.running, replaced=True)
        else:
            message += _bounded(queue, load)
    return message


def _dropped(names: Collection[str]) -> list[str]:
    if not names:
        return []
    one = len(names) == 1
    return [
        f"{'Queue' if one else 'Queues'} {listed(names)} {'is' if one else 'are'} dropped; "
        f"tasks waiting for {'it' if one else 'them'} stay queued."
    ]


def _added(queue: QueueSpec) -> str:
    workers = _number(queue.min_workers, "worker") if queue.min_workers else "no worker yet"
    return f"Starts queue {queue.name} with {workers}."


def _bounded(queue: QueueSpec, load: QueueLoad) -> list[str]:
    """What new bounds do to the workers that a queue has now."""
    if load.workers > queue.max_workers:
        return _drains(queue.name, load.workers - queue.max_workers, load.running)
    if load.workers < queue.min_workers:
        return [f"Starts {_number(queue.min_workers - load.workers, 'more worker')} of {queue.name}."]
    return []


def _drains(name: str, workers: int, running: int, *, replaced: bool = False) -> list[str]:
    if not workers:
        return []
    verbs = ("drains and is replaced", "drain and are replaced") if replaced else ("drains", "drain")
    message = _count(workers, "worker", *verbs, of=f" of {name}")
    if running:
        tasks = _count(running, "running task", "gets", "get")
        return [f"{message}; {tasks} {DRAIN_MINUTES} minutes to finish first."]
    return [f"{message}; nothing runs on {'it' if workers == 1 else 'them'} now."]


def _number(count: int, thing: str) -> str:
    return counted(count, thing)


def _count(count: int, thing: str, one: str, many: str, *, of: str = "") -> str:
    """ "1 worker of etl drains", "2 running tasks get"."""
    return f"{_number(count, thing)}{of} {one if count == 1 else many}"
