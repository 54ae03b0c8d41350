"""One look at a Deployment: gathers the facts from supervisord, files, the API server, Redis and Postgres, at
once and each bounded, and has `health` judge them. No side effect."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deployments.dataplane.contract import Component, Ref
from deployments.dataplane.local import ports
from deployments.dataplane.local.health import probe
from deployments.dataplane.local.health.components import (
    MANY_RESTARTS,
    RawState,
    component_of,
    components,
    silent,
)
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import ProcessInfo
from deployments.dataplane.local.supervisor.processes import Processes
from deployments.domain.spec import QueueLoad

ENDED = ("BACKOFF", "EXITED", "FATAL")


@dataclass(frozen=True)
class Observed:
    """What was seen."""

    components: tuple[Component, ...]
    processes: Mapping[str, ProcessInfo]
    queues: tuple[QueueLoad, ...]
    silent: Mapping[str, float]  # programs that run but do not answer: how long they may, in seconds
    untidy: bool = False  # a worker that was asked to go has ended, or must be asked again: for the next step


def desired_instances(folder: Path) -> dict[str, int]:
    """How many instances of each component the Release last written asks for; workers are recognized by
    processes."""
    try:
        return {str(k): int(v) for k, v in json.loads((folder / "wanted.json").read_text()).items()}
    except (OSError, ValueError):
        return {}


def observe(paths: StateDir, processes: Processes, ref: Ref, admin_url: str, redis_socket: Path) -> Observed:
    """Look at one Deployment. Raises DataPlaneUnreachable when supervisord does not answer."""
    facts = gather(paths, processes, ref, admin_url, redis_socket)
    if not facts.processes:
        return Observed((), {}, (), {})
    going = {program: facts.processes[program] for program in facts.draining}
    untidy = any(not info.alive or processes.overdue(program, info) for program, info in going.items())
    return Observed(components(facts), facts.processes, facts.queues, silent(facts), untidy)


def gather(paths: StateDir, processes: Processes, ref: Ref, admin_url: str, redis_socket: Path) -> RawState:
    """Ask everything that there is to ask about one Deployment. Raises DataPlaneUnreachable."""
    found = processes.known()
    if not found:
        return RawState(probe.utc_now(), {}, {})
    folder = paths.deployment(ref.release_name)
    config = folder / "secrets" / "redis.conf"
    with ThreadPoolExecutor(max_workers=3) as pool:  # three that may be slow, asked side by side
        api = pool.submit(probe.api_answer, ports.upstream(paths.root, ref.release_name))
        rows = pool.submit(probe.metadata, admin_url, ref.release_name)
        clients = (
            pool.submit(probe.connected_workers, redis_socket, probe.redis_password(config))
            if "redis" in found
            else None
        )
        heartbeats, loads = rows.result()
        answer, _ = api.result()
        connected = clients.result() if clients else None
    draining = frozenset(p for p in found if processes.draining_since(p) is not None)
    desired = desired_instances(folder)
    queues = _queue_loads(desired, found, draining, loads)
    desired |= {f"worker-{queue.name}": queue.workers for queue in queues}
    restarts = {program: processes.restarts(program) for program in found}
    ended = [p for p, info in found.items() if info.state in ENDED or restarts[p] >= MANY_RESTARTS]
    return RawState(
        now=probe.utc_now(),
        processes=found,
        desired=desired,
        api=answer,
        heartbeats=heartbeats,
        redis_clients=connected,
        draining=draining,
        restarts=restarts,
        last_lines={program: probe.last_error(processes.log_file(program)) for program in ended},
        queues=queues,
    )


def _queue_loads(
    desired: Mapping[str, int],
    found: Mapping[str, ProcessInfo],
    draining: frozenset[str],
    loads: Mapping[tuple[str, str], int],
) -> tuple[QueueLoad, ...]:
    """The load of each queue of the Release, by name; `loads` counts task instances by queue and state."""
    made = []
    for component in sorted(name for name in desired if name.startswith("worker-")):
        queue = component.removeprefix("worker-")
        workers = [p for p in found if component_of(p) == component]
        made.append(
            QueueLoad(
                name=queue,
                queued=loads.get((queue, "queued"), 0),
                running=loads.get((queue, "running"), 0),
                workers=sum(p not in draining for p in workers),
                draining=sum(found[p].alive for p in workers if p in draining),
            )
        )
    return tuple(made)
