"""The observer: notices what changed in the data planes and makes those rows due. It writes no observed state
itself; a missed change costs until the row's next due time, never the truth."""

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog
from django.db import DatabaseError
from django.db.models.functions import Now

from console.kit import crypto
from deployments import clusters, leases, tasks
from deployments.dataplane.base import DataPlane, DataPlaneError, Ref
from deployments.models import Cluster, Deployment
from deployments.states import Status

logger = structlog.get_logger(__name__)

TICK_SECONDS = 0.5  # Deployments on the move
QUIET_SECONDS = 4.0  # Healthy ones, so that a page tells the truth within 10 s
HEARTBEAT_SECONDS = 10.0
HINT_AGAIN_SECONDS = 5.0


@dataclass
class ClusterObserver:
    """Watches one cluster by asking it for fingerprints."""

    cluster_id: UUID
    plane: DataPlane
    known: dict[str, str] = field(default_factory=dict)
    quiet_at: float = 0.0
    heartbeat_at: float = 0.0

    def tick(self, now: float) -> int:
        """Look once; how many rows were made due."""
        rows = Deployment.objects.filter(cluster_id=self.cluster_id, deleted_at__isnull=True)
        look_at_all = now >= self.quiet_at
        if look_at_all:
            self.quiet_at = now + QUIET_SECONDS
        else:
            rows = rows.exclude(status__in=[Status.HEALTHY, Status.HIBERNATING])
        refs = [Ref(str(pk), release) for pk, release in rows.values_list("pk", "release_name")]
        try:
            seen = self.plane.fingerprint(refs)
        except DataPlaneError as error:
            logger.warning("cluster_silent", cluster=str(self.cluster_id), error=str(error))
            return 0
        self._heartbeat(now)
        return self._wake_changed(refs, seen, forget=look_at_all)

    def _wake_changed(self, refs: list[Ref], seen: dict[str, str], *, forget: bool) -> int:
        changed = [
            ref.deployment_id
            for ref in refs
            if self.known.get(ref.deployment_id) != seen.get(ref.deployment_id)
        ]
        self.known = dict(seen) if forget else {**self.known, **seen}
        for gone in set(changed) - seen.keys():
            self.known.pop(gone, None)
        pks = [UUID(pk) for pk in changed]
        if pks:
            leases.wake(pks)
            for pk in pks:
                tasks.hint(pk)
        return len(pks)

    def _heartbeat(self, now: float) -> None:
        if now >= self.heartbeat_at:
            self.heartbeat_at = now + HEARTBEAT_SECONDS
            Cluster.objects.filter(pk=self.cluster_id).update(last_seen_at=Now())


def observers() -> list[ClusterObserver]:
    """One observer per cluster that can be read now; one that cannot costs the others nothing."""
    found = []
    for cluster in Cluster.objects.registered():
        try:
            found.append(ClusterObserver(cluster.pk, clusters.plane(cluster)))
        except (crypto.DecryptionError, KeyError, ValueError) as error:
            logger.error("cluster_unreadable", cluster=str(cluster.pk), error=type(error).__name__)
    return found


class DueRows:
    """Hints due rows at every tick, but one that is still due since the same moment only every five seconds: while no
    worker takes messages they must not pile up."""

    def __init__(self) -> None:
        self._hinted: dict[tuple[UUID, datetime], float] = {}

    def hint(self, now: float) -> int:
        """Hint those that were not hinted just now; how many."""
        self._hinted = {row: at for row, at in self._hinted.items() if now - at < HINT_AGAIN_SECONDS}
        fresh = [row for row in tasks.due_rows() if row not in self._hinted]
        for row in fresh:
            self._hinted[row] = now
            tasks.hint(row[0])
        return len(fresh)


def run_forever(stop: threading.Event) -> None:
    """Tick until asked to stop. Due rows are hinted at every tick as well, so that a wait of a second is one."""
    watching: list[ClusterObserver] = []
    due = DueRows()
    refresh_at = 0.0
    while not stop.is_set():
        now = time.monotonic()
        if now >= refresh_at:
            watching, refresh_at = _refreshed(watching), now + 30.0
        due.hint(now)
        for observer in watching:
            _tick(observer, now)
        stop.wait(max(0.0, TICK_SECONDS - (time.monotonic() - now)))


def _tick(observer: ClusterObserver, now: float) -> None:
    """One cluster's look. What its driver raises beside the contract is logged and delays no other cluster."""
    try:
        observer.tick(now)
    except DatabaseError:
        raise
    except Exception:
        logger.exception("cluster_look_failed", cluster=str(observer.cluster_id))


def _refreshed(watching: list[ClusterObserver]) -> list[ClusterObserver]:
    known = {o.cluster_id: o for o in watching}
    return [known.get(o.cluster_id, o) for o in observers()]
