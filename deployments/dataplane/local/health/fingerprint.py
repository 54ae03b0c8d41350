"""A short text that changes when what is observed of a Deployment may have changed."""

from collections.abc import Callable, Mapping

from deployments.dataplane.local import ports
from deployments.dataplane.local.health import probe
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import ProcessInfo


def fingerprint(
    paths: StateDir,
    release_name: str,
    digest: str,
    processes: Mapping[str, ProcessInfo],
    connected: Callable[[], frozenset[str] | None],
) -> str:
    """Of its processes, what its API server answers, and the workers that `connected` finds; "" when there is nothing.
    `digest` is that of the Release that was applied."""
    if not processes and not paths.deployment(release_name).exists():
        return ""
    states = sorted(f"{p.name}={p.state}/{p.pid}" for p in processes.values())
    _, words = probe.api_answer(ports.upstream(paths.root, release_name))
    workers = connected() if "redis" in processes else None
    return " ".join([digest, *states, words, *sorted(workers or ())])
