"""The observer: notices what changed in the data planes and makes those rows due. It writes no observed state
itself; a missed change costs until the row's next due time, never the truth.

Every cluster has a thread of its own, so that one which hangs delays no other. Of several processes one leads a
cluster (`leadership`), and the others stand by.
"""

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog
from django.db import DatabaseError, connection
from django.db.models import F
from django.db.models.functions import Now

from console.kit import crypto, heartbeat, metrics
from deployments import enqueue
from deployments.clusters import connections
from deployments.dataplane.contract import DataPlaneError, Driver, Ref, Watcher
from deployments.domain.states import Status
from deployments.models import Cluster, Deployment
from deployments.models.clusters import SILENT_AFTER
from deployments.reconciler import leadership, leases, recording, turns
from deployments.reconciler.readings import Reader

logger = structlog.get_logger(__name__)

TICK_SECONDS = 0.5  # Deployments on the move
QUIET_SECONDS = 4.0  # Healthy ones, so that a page shows the truth within 10 s
HEARTBEAT_SECONDS = 10.0
ENQUEUE_AGAIN_SECONDS = 5.0
STANDBY_SECONDS = 1.0
CLUSTERS_SECONDS = 5.0  # until a registered cluster is watched
ROWS_SECONDS = 2.0  # until a new row's changes are watched
WAKE_AT_ONCE = (
    20  # rows, four times a second: a cluster that comes back must not push aside what people ask for
)
AGAIN_SECONDS = 0.3  # a row that changes in many steps is looked at between them, not at each


@dataclass
class ClusterObserver:
    """Watches one cluster: listens where the data plane reports changes, asks for fingerprints where it does not."""

    cluster_id: UUID
    driver: Driver
    holder: str = field(default_factory=leadership.new_holder)
    leading: bool = False
    known: dict[str, str] = field(default_factory=dict)
    refs: dict[str, Ref] = field(default_factory=dict)
    workspaces: dict[str, UUID] = field(default_factory=dict)  # of those
    pending: dict[str, None] = field(default_factory=dict)  # to be woken, longest waiting first
    woken: dict[str, float] = field(default_factory=dict)
    watcher: Watcher | None = None
    renew_at: float = 0.0
    quiet_at: float = 0.0
    rows_at: float = 0.0
    heartbeat_at: float = 0.0
    unreachable_reason: str | None = None  # as last written
    silent_at: float = 0.0  # since when it is silent, 0 while it answers
    silence_shown: bool = False
    name: str = ""  # of the cluster, for metrics

    def run(self, stop: threading.Event) -> None:
        """Until `stop`. Whatever goes wrong is logged and tried again; nothing but the end gets out of here."""
        while not stop.is_set():
            began = time.monotonic()
            try:
                self.step(began, stop)
            except DatabaseError as error:
                logger.warning("database_away", cluster=str(self.cluster_id), error=type(error).__name__)
                connection.close()
                stop.wait(1.0)
            except Exception:
                logger.exception("cluster_look_failed", cluster=str(self.cluster_id))
                stop.wait(1.0)
        self._stand_down()
        with suppress(DatabaseError):  # else the lease ends by itself
            leadership.resign(self.cluster_id, self.holder)
        connection.close()

    def step(self, now: float, stop: threading.Event) -> None:
        """Lead or stand by, and look or listen once."""
        if now >= self.renew_at:
            self.renew_at = now + leadership.RENEW_SECONDS
            self._lead_or_not()
        if not self.leading:
            stop.wait(STANDBY_SECONDS)
        elif self.watcher is not None:
            self.watch(now)
        else:
            self.tick(now)
            stop.wait(max(0.0, TICK_SECONDS - (time.monotonic() - now)))

    def _lead_or_not(self) -> None:
        leading = leadership.lead(self.cluster_id, self.holder)
        if leading != self.leading:
            logger.info("leads" if leading else "stands_by", cluster=str(self.cluster_id), holder=self.holder)
        metrics.LEADS.set(float(leading), self.name)
        if leading and not self.leading:
            self.watcher = self.driver.watcher(self.may_write)
            self.unreachable_reason = None
        if not leading:
            self._stand_down()
        self.leading = leading

    def _stand_down(self) -> None:
        if self.watcher is not None:
            self.watcher.close()
        self.watcher, self.leading = None, False
        metrics.LEADS.set(0.0, self.name)
        self.known.clear()
        self.pending.clear()

    def may_write(self) -> bool:
        """Whether this process leads at this moment, whatever it thinks. For the watcher's threads, which use the
        database for nothing else and so keep no connection."""
        try:
            return leadership.is_leading(self.cluster_id, self.holder)
        except DatabaseError:
            return False
        finally:
            connection.close()

    # -- A data plane that reports changes --

    def watch(self, now: float) -> int:
        """Listen for half a second at most; how many rows were made due."""
        if now >= self.rows_at or not self.refs:
            self.rows_at = now + ROWS_SECONDS
            rows = Deployment.objects.filter(cluster_id=self.cluster_id, deleted_at__isnull=True)
            found = list(rows.values_list("pk", "release_name", "workspace"))
            self.refs = {str(pk): Ref(str(pk), name) for pk, name, _ in found}
            self.workspaces = {str(pk): workspace for pk, _, workspace in found}
        assert self.watcher is not None  # noqa: S101 - `step` decides
        for pk in self.watcher.changed(self.refs, TICK_SECONDS / 2 if self.pending else TICK_SECONDS):
            self.pending.setdefault(pk)
        now = time.monotonic()
        self.woken = {pk: at for pk, at in self.woken.items() if now - at < AGAIN_SECONDS}
        waiting = [pk for pk in self.pending if pk not in self.woken]
        ready = turns.one_of_each(waiting, self.workspaces.get)[:WAKE_AT_ONCE]
        if self._wake(ready):
            for pk in ready:
                self.pending.pop(pk)
                self.woken[pk] = now
        self._heartbeat(now, self.watcher.unreachable_reason())
        return len(ready)

    # -- A data plane that must be asked --

    def tick(self, now: float) -> int:
        """Ask once; how many rows were made due."""
        rows = Deployment.objects.filter(cluster_id=self.cluster_id, deleted_at__isnull=True)
        look_at_all = now >= self.quiet_at
        if look_at_all:
            self.quiet_at = now + QUIET_SECONDS
        else:
            rows = rows.exclude(status__in=[Status.HEALTHY, Status.HIBERNATING])
        refs = [Ref(str(pk), release) for pk, release in rows.values_list("pk", "release_name")]
        try:
            seen = self.driver.fingerprint(refs)
        except DataPlaneError as error:
            logger.warning("cluster_silent", cluster=str(self.cluster_id), error=str(error))
            self._heartbeat(now, str(error))
            return 0
        self._heartbeat(now, "")
        return self._wake_changed(refs, seen, forget=look_at_all)

    def _wake_changed(self, refs: list[Ref], seen: Mapping[str, str], *, forget: bool) -> int:
        changed = [
            ref.deployment_id
            for ref in refs
            if self.known.get(ref.deployment_id) != seen.get(ref.deployment_id)
        ]
        self.known = dict(seen) if forget else {**self.known, **seen}
        for gone in set(changed) - seen.keys():
            self.known.pop(gone, None)
        return len(changed) if self._wake(changed) else 0

    # -- What is written --

    def _wake(self, ids: list[str]) -> bool:
        """Make rows due and hint them; False when this process does not lead any more, and so wrote nothing."""
        pks = [UUID(pk) for pk in ids]
        marked = leases.mark_due(pks, leadership.leads(self.holder, "cluster__")) if pks else 0
        if pks and not marked and not leadership.is_leading(self.cluster_id, self.holder):
            self.renew_at = 0.0  # else they wait already, or are gone
            self.known.clear()
            return False
        metrics.WOKEN.add(self.name, amount=len(pks))
        enqueue.reconcile_first(pks)
        return True

    def _heartbeat(self, now: float, unreachable_reason: str) -> None:
        """Record at times that the cluster answers; at once when it is no longer, and why."""
        self._note(now, unreachable_reason[:1000])
        self._show_silence(now, silent=bool(unreachable_reason))

    def _note(self, now: float, unreachable_reason: str) -> None:
        if unreachable_reason == self.unreachable_reason and (unreachable_reason or now < self.heartbeat_at):
            return
        self.heartbeat_at = now + HEARTBEAT_SECONDS
        watched = F("last_seen_at") if unreachable_reason else Now()
        rows = Cluster.objects.filter(leadership.leads(self.holder), pk=self.cluster_id)
        if rows.update(unreachable_reason=unreachable_reason, last_seen_at=watched):
            self.unreachable_reason = unreachable_reason

    def _show_silence(self, now: float, *, silent: bool) -> None:
        """Have pages say, once it has lasted, that no change arrives; and that it is over."""
        self.silent_at = (self.silent_at or now) if silent else 0.0
        lasts = silent and now - self.silent_at >= SILENT_AFTER.total_seconds()
        if lasts != self.silence_shown:
            self.silence_shown = lasts
            if self.unreachable_reason is not None:
                recording.publish_badges(self.cluster_id)


class DueRows:
    """Hints due rows at every tick, but one that is still due since the same moment only every five seconds, and no
    more than are of use: while workers are busy, or none takes messages, they must not pile up."""

    def __init__(self) -> None:
        self._hinted: dict[tuple[UUID, datetime], float] = {}

    def enqueue(self, now: float) -> int:
        """Hint those that were not hinted just now; how many."""
        self._hinted = {row: at for row, at in self._hinted.items() if now - at < ENQUEUE_AGAIN_SECONDS}
        fresh = [row for row in leases.due_rows() if row not in self._hinted]
        asked = enqueue.reconcile_first([pk for pk, _ in fresh])
        self._hinted |= dict.fromkeys(fresh[:asked], now)
        return asked


class Watch:
    """The threads of this process, per cluster that can be read one that watches it and one that reads what its
    Airflows do."""

    def __init__(self) -> None:
        self._reading: list[threading.Thread] = []
        self._running: dict[UUID, tuple[bytes, ClusterObserver, threading.Thread, threading.Event]] = {}

    @property
    def leading(self) -> bool:
        """Whether this process leads any cluster."""
        return any(observer.leading for _, observer, _, _ in self._running.values())

    def refresh(self) -> None:
        """Watch the clusters that are registered now, with the configuration that they have now. One whose
        configuration cannot be read costs the others nothing."""
        there = {cluster.pk: cluster for cluster in Cluster.objects.all()}
        for pk, (config, _, thread, stop) in list(self._running.items()):
            if pk not in there or bytes(there[pk].sealed_config) != config or not thread.is_alive():
                stop.set()
                del self._running[pk]
        for pk in there.keys() - self._running.keys():
            observer = observer_of(there[pk])
            if observer is not None:
                stop = threading.Event()
                thread = threading.Thread(
                    target=observer.run, args=(stop,), name=f"cluster-{pk}", daemon=True
                )
                thread.start()
                self._running[pk] = (bytes(there[pk].sealed_config), observer, thread, stop)
                self._read(Reader(pk, observer.driver), stop)

    def _read(self, reader: Reader, stop: threading.Event) -> None:
        thread = threading.Thread(
            target=reader.run, args=(stop,), name=f"reader-{reader.cluster_id}", daemon=True
        )
        thread.start()
        self._reading = [*(each for each in self._reading if each.is_alive()), thread]

    def close(self, patience: float = 3.0) -> None:
        """End every thread; those that hang in a call die with the process."""
        for _, _, _, stop in self._running.values():
            stop.set()
        deadline = time.monotonic() + patience
        for thread in [*(thread for _, _, thread, _ in self._running.values()), *self._reading]:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._running.clear()


def observer_of(cluster: Cluster) -> ClusterObserver | None:
    """The observer of one cluster; None, and a line in the log, when its configuration cannot be read."""
    try:
        return ClusterObserver(cluster.pk, connections.driver_of(cluster), name=cluster.name)
    except (crypto.DecryptionError, DataPlaneError, KeyError, ValueError) as error:
        logger.error("cluster_unreadable", cluster=str(cluster.pk), error=type(error).__name__)
        return None


def run_forever(stop: threading.Event) -> None:
    """Until asked to stop. Due rows are hinted at every tick as well, so that a wait of a second is one."""
    watch, due, refresh_at = Watch(), DueRows(), 0.0
    try:
        while not stop.is_set():
            now = time.monotonic()
            heartbeat.beat()
            if now >= refresh_at:
                watch.refresh()
                refresh_at = now + CLUSTERS_SECONDS
            if watch.leading:
                due.enqueue(now)
            stop.wait(max(0.0, TICK_SECONDS - (time.monotonic() - now)))
    finally:
        watch.close()
