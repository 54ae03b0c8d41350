"""What the scripted driver finds of one Deployment."""

from dataclasses import dataclass, field, replace

from deployments.dataplane.contract import (
    Component,
    Leftover,
    LogLine,
    Ref,
)
from deployments.dataplane.fake_task_logs import ScriptedTaskLogs
from deployments.domain.spec import QueueLoad, Release
from deployments.domain.states import ComponentState


@dataclass
class World:
    """What exists of one Deployment in the scripted cluster."""

    release: Release | None = None
    database: bool = False
    runtime: str = ""  # what the database was migrated to
    snapshot: str = ""  # the runtime of the copy from before an upgrade
    rows: tuple[str, ...] = ()  # what a test put into the database
    kept_rows: tuple[str, ...] = ()  # and what of it is in the copy
    people: str = ""  # who may come in, signed
    running: bool = False
    warm: bool = False  # the components answer
    workers: dict[str, int] = field(default_factory=dict)
    loads: dict[str, tuple[int, int]] = field(default_factory=dict)  # queue -> (queued, running)
    draining: dict[str, int] = field(default_factory=dict)  # queue -> workers on their way out
    broken: dict[str, Component] = field(default_factory=dict)  # components that a test made fail
    lines: dict[str, list[LogLine]] = field(default_factory=dict, repr=False)  # what components wrote
    task_logs: ScriptedTaskLogs = field(default_factory=ScriptedTaskLogs, repr=False)

    def digest(self) -> str:
        """As `Observation.digest`."""
        if self.release is None:
            return ""
        if self.database and (self.runtime != self.release.runtime.version or self.snapshot):
            return "upgrading"
        return self.release.digest if self.running or self.release.hibernating else ""

    def components(self) -> tuple[Component, ...]:
        """Two of them, in the state of the world."""
        if not self.running:
            return ()
        state = ComponentState.READY if self.warm else ComponentState.STARTING
        reason = "" if self.warm else "Scheduler: waiting for its first heartbeat."
        whole = [
            replace(Component(name, state, int(self.warm), 1), reason=reason)
            for name in ("api-server", "scheduler")
        ]
        return tuple(self.broken.get(component.name, component) for component in whole)

    def queues(self) -> tuple[QueueLoad, ...]:
        """What waits and runs, by queue."""
        if not self.running or self.release is None:
            return ()
        return tuple(
            QueueLoad(
                q.name,
                *self.loads.get(q.name, (0, 0)),
                self.workers.get(q.name, 0),
                self.draining.get(q.name, 0),
            )
            for q in self.release.queues
        )

    def leftovers(self, ref: Ref) -> tuple[Leftover, ...]:
        """What a delete would remove."""
        processes = [Leftover("processes", "3 processes")] * self.running
        database = [Leftover("database", f"database {ref.release_name}")] * self.database
        database += [Leftover("database", f"database {ref.release_name} before")] * bool(self.snapshot)
        return (*processes, *database, Leftover("files", "files"))
