"""The summary beside the create form: what will be created, in figures. Pure arithmetic over a form's values."""

from dataclasses import dataclass

from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.manifests import sizes
from deployments.domain.component_titles import title
from deployments.domain.spec import DEFAULT_QUEUE, QueueSpec, Release, RuntimeSpec, Size, au_size
from deployments.domain.states import Executor


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
    # On Kubernetes each component is a pod with requests of its own, and a task may be one.
    pods: bool = False
    executor: Executor | None = None

    @property
    def release(self) -> Release | None:
        """What is asked for, as far as sizes go; None while a figure is missing."""
        if not (self.scheduler_au and self.scheduler_replicas and self.executor):
            return None
        queues = self.others
        if self.celery:
            if self.worker is None or self.min_workers is None or not (self.max_workers and self.concurrency):
                return None
            own = QueueSpec(DEFAULT_QUEUE, self.min_workers, self.max_workers, self.concurrency, self.worker)
            queues = (own, *self.others)
        return Release(
            deployment_id="",
            release_name="",
            generation=0,
            runtime=RuntimeSpec("", ""),
            executor=self.executor,
            scheduler=au_size(self.scheduler_au),
            scheduler_replicas=self.scheduler_replicas,
            queues=queues if self.celery else (),
        )


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
    if asked.pods:
        lines += _components(asked.release)
    if not asked.celery:
        where = (
            "each in a pod of its own" if asked.executor is Executor.KUBERNETES else "inside the scheduler"
        )
        return [*lines, *_in_pods(asked), Line("Concurrent tasks", str(local_parallelism), where)]
    at_most = asked.max_workers
    workers = asked.worker * at_most if asked.worker and at_most else None
    of_type = f"of type {asked.worker_name}" if asked.worker else ""
    lines.append(Line("Max workers", str(at_most) if at_most else MISSING, of_type))
    lines.append(Line("Max for workers", size_text(workers) if workers else MISSING))
    tasks = at_most * asked.concurrency if at_most and asked.concurrency else None
    detail = f"{at_most} workers × {asked.concurrency}" if tasks else ""
    others = sum((queue.size * queue.max_workers for queue in asked.others), Size(0, 0))
    more = sum(queue.max_workers * queue.concurrency for queue in asked.others)
    if asked.others:
        detail = f"{tasks} here, {more} on other queues" if tasks else ""
        lines.append(Line("Max for other queues", size_text(others), f"{len(asked.others)} besides default"))
    total = workers + scheduler + others if workers and scheduler else None
    if asked.pods:
        lines += _in_pods(asked)
    else:
        lines.append(Line("Maximum total", size_text(total) if total else MISSING))
    return [*lines, Line("Concurrent tasks", str(tasks + more) if tasks else MISSING, detail)]


def _components(release: Release | None) -> list[Line]:
    """The parts whose size is fixed."""
    if release is None:
        return []
    chosen = {names.SCHEDULER, names.TASK}
    return [
        Line(title(part.component), size_text(part.size * part.pods), _replicas_text(part.pods))
        for part in sizes.parts(release)
        if part.component not in chosen and not part.component.startswith(f"{names.WORKER}-")
    ]


def _in_pods(asked: Asked) -> list[Line]:
    """What is requested of the cluster in all; nothing on a machine, where nothing is."""
    if not asked.pods:
        return []
    parts = sizes.parts(asked.release) if asked.release else ()
    lines = [
        Line(
            "Task pods at most",
            size_text(part.size * part.pods),
            f"{part.pods} pods of {size_text(part.size)}",
        )
        for part in parts
        if part.component == names.TASK
    ]
    total = sum((part.size * part.pods for part in parts), Size(0, 0))
    detail = "more while a change replaces pods" if parts else ""
    return [*lines, Line("Maximum total", size_text(total) if parts else MISSING, detail)]


def _scheduler(asked: Asked) -> Size | None:
    if not asked.scheduler_au or not asked.scheduler_replicas:
        return None
    return au_size(asked.scheduler_au) * asked.scheduler_replicas


def _replicas_text(replicas: int | None) -> str:
    return "" if replicas in {None, 1} else f"{replicas} replicas"
