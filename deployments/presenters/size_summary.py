"""The summary beside the create form: what will be created, in figures. Pure arithmetic over a form's values."""

from dataclasses import dataclass

from deployments.domain.spec import QueueSpec, Size, au_size


@dataclass(frozen=True)
class Line:
    """One line of the summary."""

    label: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class Asked:
    """What the form asks for so far; None where a value is missing or wrong."""

    celery: bool
    scheduler_au: int | None
    scheduler_replicas: int | None
    worker: Size | None = None
    worker_name: str = ""
    min_workers: int | None = None
    max_workers: int | None = None
    concurrency: int | None = None
    others: tuple[QueueSpec, ...] = ()  # further worker queues, which the form leaves as they are


MISSING = "–"


def size_text(size: Size) -> str:
    """ "0.5 CPU, 1.88 GiB"."""
    return f"{size.cpu_text} CPU, {size.memory_text} GiB"


def summary(asked: Asked, *, local_parallelism: int = 32) -> list[Line]:
    """The lines of the summary. A figure that cannot be computed yet is a dash."""
    scheduler = _scheduler(asked)
    lines = [
        Line(
            "Scheduler",
            size_text(scheduler) if scheduler else MISSING,
            _replicas_text(asked.scheduler_replicas),
        ),
    ]
    if not asked.celery:
        return [*lines, Line("Tasks at once", str(local_parallelism), "inside the scheduler")]
    at_most = asked.max_workers
    workers = asked.worker * at_most if asked.worker and at_most else None
    lines.append(
        Line(
            "Workers at most",
            str(at_most) if at_most else MISSING,
            f"of type {asked.worker_name}" * bool(asked.worker),
        )
    )
    lines.append(Line("Workers' resources at most", size_text(workers) if workers else MISSING))
    tasks = at_most * asked.concurrency if at_most and asked.concurrency else None
    detail = f"{at_most} workers × {asked.concurrency}" if tasks else ""
    others = sum((queue.size * queue.max_workers for queue in asked.others), Size(0, 0))
    more = sum(queue.max_workers * queue.concurrency for queue in asked.others)
    if asked.others:
        detail = f"{tasks} here, {more} on other queues" if tasks else ""
        lines.append(Line("Other queues at most", size_text(others), f"{len(asked.others)} besides default"))
    total = workers + scheduler + others if workers and scheduler else None
    lines.append(Line("In all at most", size_text(total) if total else MISSING))
    return [*lines, Line("Tasks at once", str(tasks + more) if tasks else MISSING, detail)]


def _scheduler(asked: Asked) -> Size | None:
    if not asked.scheduler_au or not asked.scheduler_replicas:
        return None
    return au_size(asked.scheduler_au) * asked.scheduler_replicas


def _replicas_text(replicas: int | None) -> str:
    return "" if replicas in {None, 1} else f"{replicas} replicas"
