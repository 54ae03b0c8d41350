"""One step of bringing a Deployment's programs to what its Release wants. Each function does one kind of
thing and says what it did; the first that did something ends the call."""

from collections.abc import Mapping

from deployments.dataplane.local import ports
from deployments.dataplane.local.environment import Layout, worker_name, worker_spec
from deployments.dataplane.local.health.components import component_of
from deployments.dataplane.local.program_names import API_SERVER, REDIS
from deployments.dataplane.local.supervisor.client import ProcessInfo
from deployments.dataplane.local.supervisor.processes import Processes, busy_tasks, may_start
from deployments.dataplane.local.supervisor.specs import Spec
from deployments.domain.component_titles import title
from deployments.domain.spec import QueueSpec, Release, Secrets


def is_worker(program: str) -> bool:
    """Whether the program is a Celery worker."""
    return program.startswith("worker-")


def step(processes: Processes, specs: Mapping[str, Spec]) -> str:
    """Take the next step towards exactly these programs running; what was done, or "" when nothing was to
    do."""
    found = processes.known()
    return (
        _end_superfluous(processes, specs, found)
        or _add_missing(processes, specs, found)
        or _restart_changed(processes, specs, found)
        or _start_ended(processes, specs, found)
    )


def worker_specs(
    processes: Processes, release: Release, secrets: Secrets, layout: Layout, workers: Mapping[str, int]
) -> dict[str, Spec]:
    """The workers that should run: those there are, idle ones first to go, then new ones in the lowest
    slots."""
    found = processes.known()
    specs: dict[str, Spec] = {}
    for queue in release.queues:
        for slot in _slots(processes, found, queue, workers.get(queue.name, queue.min_workers)):
            name = worker_name(queue.name, slot)
            specs[name] = worker_spec(release, secrets, layout, queue=queue, slot=slot)
    return specs


def _slots(
    processes: Processes, found: Mapping[str, ProcessInfo], queue: QueueSpec, desired: int
) -> list[int]:
    """The slots of a queue that should run. A draining worker is on its way out and never counted."""
    prefix = f"worker-{queue.name}"
    mine = {p: info for p, info in found.items() if is_worker(p) and component_of(p) == prefix}
    draining = {p for p in mine if processes.draining_since(p) is not None}
    staying = [p for p in mine if p not in draining]
    if len(staying) > desired:
        staying.sort(key=lambda p: busy_tasks(mine[p].pid), reverse=True)
    slots = [int(p.rpartition("-")[2]) for p in staying[:desired]]
    taken = {int(p.rpartition("-")[2]) for p in mine}
    free = (slot for slot in range(1, 1000) if slot not in taken)
    return slots + [next(free) for _ in range(desired - len(slots))]


def _end_superfluous(
    processes: Processes, specs: Mapping[str, Spec], found: Mapping[str, ProcessInfo]
) -> str:
    ended = []
    for program, info in found.items():
        if program in specs:
            continue
        if is_worker(program) and info.alive:
            fresh = processes.draining_since(program) is None
            processes.drain(program)
            ended += [program] if fresh else []
        elif program == REDIS and any(is_worker(other) and found[other].alive for other in found):
            continue  # workers that finish their tasks still speak to it
        elif processes.remove(program):
            ended.append(program)
    return _sentence("Ending", ended)


def _add_missing(processes: Processes, specs: Mapping[str, Spec], found: Mapping[str, ProcessInfo]) -> str:
    missing = [program for program in specs if program not in found]
    if missing:
        processes.add(missing)
    return _sentence("Started", missing)


def _restart_changed(
    processes: Processes, specs: Mapping[str, Spec], found: Mapping[str, ProcessInfo]
) -> str:
    """Stop what runs an older spec; it is started again by a later step, when it has ended."""
    changed = []
    for program, spec in specs.items():
        info = found[program]
        if not processes.changed(program, info, spec) or info.state == "STOPPING":
            continue
        if is_worker(program):
            if processes.draining_since(program) is None:
                changed.append(program)
            processes.drain(program)
        else:
            processes.stop(program)
            changed.append(program)
    return _sentence("Restarting with the new settings:", changed)


def _start_ended(processes: Processes, specs: Mapping[str, Spec], found: Mapping[str, ProcessInfo]) -> str:
    ended = [p for p, spec in specs.items() if may_start(found[p], changed=processes.outdated(p, spec))]
    for program in ended:
        processes.start(program)
    return _sentence("Started again:", ended)


def restart_silent(processes: Processes, silent: Mapping[str, float]) -> str:
    """Stop programs that have run without answering for longer than they may; the next step starts them again."""
    hung = [program for program, patience in silent.items() if processes.silent_for(program) > patience]
    for program in hung:
        processes.stop(program)
    return _sentence("Restarting what runs but does not answer:", hung)


def port_taken(found: Mapping[str, ProcessInfo], port: int) -> bool:
    """Whether another program holds the API server's port: it is taken while the API server does not run."""
    info = found.get(API_SERVER)
    return (info is None or not info.alive) and not ports.bindable(port)


def _sentence(verb: str, programs: list[str]) -> str:
    names = sorted({title(component_of(program)) for program in programs})
    return f"{verb} {', '.join(names)}." if names else ""
