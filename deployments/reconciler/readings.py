"""Reads once a minute what each running Airflow does, and keeps it. Never inside a pass: a cluster whose databases hang
delays its own readings and nothing else.

A claim pushes the row's due time first, so that a process which dies in a reading costs one minute; two processes never
read the same row. What an attempt writes is fenced by the moment of its claim. The console's database counts the
minutes, each metadata database its own hours (docs/adr/0031).
"""

import json
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from deployments.dataplane.contract import DataPlaneError, Driver, Ref
from deployments.dataplane.reading import Reading, Since
from deployments.domain.states import Status
from deployments.models import Deployment, LatestReading
from deployments.reconciler import reading_records

logger = structlog.get_logger(__name__)

READERS = 6  # readings of one cluster at once, in one process
TICK_SECONDS = 1.0
NEW_SECONDS = 5.0  # how late the first reading of a Deployment may be
PRUNE_SECONDS = 3600.0
BROKE_OFF = "The reading broke off. The log of the observer says why."
READ_STATUSES = (Status.HEALTHY, Status.UNHEALTHY, Status.DEPLOYING)

# Which Deployments are read: those that run. While an upgrade copies the database no one may be connected to it.
_RUNS = """
  d.cluster_id = %(cluster)s AND d.deleted_at IS NULL AND d.delete_requested_at IS NULL AND NOT d.hibernating
  AND d.first_healthy_at IS NOT NULL AND d.upgrade_from_id IS NULL AND d.status = ANY(%(statuses)s)
"""

# Each Deployment has a second of the minute of its own, by its id: every minute gets one reading, whatever a tick
# costs, and the load is spread. Not near the end of the minute, where a late tick would be in the next one.
_CLAIM = f"""
UPDATE deployments_latestreading r SET tried_at = clock_timestamp(),
  due_at = date_trunc('minute', now()) + interval '1 minute'
    + make_interval(secs => abs(hashtext(r.deployment_id::text)::bigint) %% 50)
FROM deployments_deployment d WHERE d.id = r.deployment_id AND r.deployment_id IN (
  SELECT due.deployment_id FROM deployments_latestreading due JOIN deployments_deployment d ON d.id = due.deployment_id
  WHERE due.due_at <= now() AND {_RUNS} ORDER BY due.due_at LIMIT %(n)s FOR UPDATE OF due SKIP LOCKED)
RETURNING r.deployment_id, d.release_name, r.tried_at, r.read_to, r.cpu_sample
"""  # noqa: S608 - constants


@dataclass(frozen=True)
class ReadingClaim:
    """The right to read one Deployment and to write what was found, until the next claim."""

    ref: Ref
    tried_at: datetime
    since: Since | None

    @property
    def pk(self) -> UUID:
        """The primary key of the Deployment that is read."""
        return UUID(self.ref.deployment_id)


def claim(cluster_id: UUID, n: int, *, new: bool = True) -> list[ReadingClaim]:
    """At most `n` readings of the cluster that are due, longest first; with `new` also of Deployments that were never
    read, to find which every row is looked at. One query; with `new` two, and a third for what is new."""
    statuses = [each.value for each in READ_STATUSES]
    if new:
        unread = Deployment.objects.filter(
            cluster_id=cluster_id, status__in=statuses, reading__isnull=True, deleted_at__isnull=True
        )
        LatestReading.objects.bulk_create(
            (LatestReading(deployment_id=pk) for pk in unread.values_list("pk", flat=True)),
            ignore_conflicts=True,
        )
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"cluster": cluster_id, "statuses": statuses, "n": n})
        rows = cursor.fetchall()
    return [
        ReadingClaim(Ref(str(pk), name), tried_at, Since(read_to, _sample(sample)) if read_to else None)
        for pk, name, tried_at, read_to, sample in rows
    ]


@dataclass
class Reader:
    """Reads the Deployments of one cluster. The calls to the data plane are made on a few threads, which use no row;
    the rows are read and written on the thread that runs `run`."""

    cluster_id: UUID
    driver: Driver
    under_way: dict[Future[Reading], ReadingClaim] = field(default_factory=dict)
    new_at: float = 0.0
    prune_at: float = field(default_factory=lambda: time.monotonic() + PRUNE_SECONDS / 10)

    def run(self, stop: threading.Event) -> None:
        """Until `stop`. Whatever goes wrong is logged and tried again."""
        pool = ThreadPoolExecutor(READERS, thread_name_prefix=f"readings-{self.cluster_id}")
        try:
            while not stop.is_set():
                began = time.monotonic()
                try:
                    self.step(pool, began)
                except DatabaseError as error:
                    logger.warning("readings_database_away", error=type(error).__name__)
                    connection.close()
                except Exception:
                    logger.exception("readings_failed", cluster=str(self.cluster_id))
                if self.under_way:
                    wait(self.under_way, TICK_SECONDS / 4, FIRST_COMPLETED)
                stop.wait(max(0.02, TICK_SECONDS * (not self.under_way) - (time.monotonic() - began)))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            connection.close()

    def step(self, pool: ThreadPoolExecutor, now: float) -> int:
        """Keep what was read, and begin as many readings as there are free threads; how many were begun."""
        for future in [each for each in self.under_way if each.done()]:
            self._keep(self.under_way.pop(future), future)
        free = READERS - len(self.under_way)
        new = now >= self.new_at
        begun = claim(self.cluster_id, free, new=new) if free else []
        if free and new:
            self.new_at = now + NEW_SECONDS
        for each in begun:
            self.under_way[pool.submit(self.driver.reading, each.ref, each.since)] = each
        if now >= self.prune_at:
            self.prune_at = now + PRUNE_SECONDS
            reading_records.prune(self.cluster_id)
        return len(begun)

    def _keep(self, claimed: ReadingClaim, future: Future[Reading]) -> None:
        with structlog.contextvars.bound_contextvars(deployment=claimed.ref.deployment_id):
            try:
                reading_records.keep(claimed.pk, claimed.tried_at, future.result())
            except DataPlaneError as error:
                reading_records.failed(claimed.pk, claimed.tried_at, str(error))
            except (InterfaceError, OperationalError):  # of our own database
                raise
            except Exception:  # also for what no row can hold: people who deploy code own what was read
                logger.exception("reading_failed")
                reading_records.failed(claimed.pk, claimed.tried_at, BROKE_OFF)


def _sample(stored: str) -> dict[str, float]:
    """CPU seconds by process, from JSON as a cursor of Django's gives it."""
    return {str(key): float(value) for key, value in json.loads(stored).items()}
