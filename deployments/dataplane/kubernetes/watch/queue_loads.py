"""Reads from the metadata databases what no watch reports: the load of the worker queues, and whether Airflow's own
heartbeats advance. SQL only, no API request.

A look at 1,000 databases costs 1,000 connections, so most are left alone: one query on the primary server says which
databases had rows inserted. One in which nothing was inserted, and in which no task waits, can have no new load.
"""

import itertools
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from deployments.dataplane.contract import DataPlaneError, Ref
from deployments.dataplane.postgres import airflow_metadata, databases
from deployments.dataplane.postgres.airflow_metadata import Vitals
from deployments.dataplane.reading import HEARTBEAT_SECONDS

logger = structlog.get_logger(__name__)

TICK_SECONDS = 10.0
FULL_SECONDS = (
    300.0  # at the latest, each database is looked into; a reading tells each minute of heartbeats that stop
)
PING_SECONDS = 4.0  # how late it may be known that the server is away, or back
UNREACHABLE_PAUSE_SECONDS = 30.0  # a database that did not answer is left alone for so long
READERS = 4


@dataclass
class _Known:
    """What is remembered of one Deployment's database."""

    look_at: float = 0.0  # not before
    full_at: float = 0.0  # at the latest
    inserted: int = -1
    busy: bool = True  # tasks run, or wait
    text: str | None = None


class LoadReader:
    """Reads the loads of the followed Deployments, and reports the ids of those whose load or life changed."""

    def __init__(self, admin_url: str, report: Callable[[str], None]) -> None:
        self._admin_url, self._report = admin_url, report
        self._refs: Mapping[str, Ref] = {}
        self._known: dict[str, _Known] = {}
        self._stop = threading.Event()
        self._away = False
        self.looks = 0  # databases looked into, for tests and the bench

    def follow(self, refs: Mapping[str, Ref]) -> None:
        """Whose databases to read."""
        self._refs = refs

    def close(self) -> None:
        """End."""
        self._stop.set()

    def run(self) -> None:
        """Until `close`."""
        with ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="loads") as pool:
            read_at = 0.0
            while not self._stop.is_set():
                began = time.monotonic()
                try:
                    if self.ping() and began >= read_at:
                        read_at = began + TICK_SECONDS
                        self.tick(began, pool)
                except DataPlaneError as error:
                    logger.info("loads_unread", why=str(error))
                except Exception:
                    logger.exception("loads_failed")
                self._stop.wait(max(0.5, PING_SECONDS - (time.monotonic() - began)))

    def ping(self) -> bool:
        """Whether the server answers. Every Deployment is notified when that changes: all of them stand on it."""
        try:
            with databases.connect(self._admin_url):
                away = False
        except DataPlaneError as error:
            away = True
            if not self._away:
                logger.warning("database_server_silent", why=str(error))
        if away != self._away:
            self._away = away
            for pk in self._refs:
                self._report(pk)
        return not away

    def tick(self, now: float, pool: ThreadPoolExecutor) -> None:
        """Look into every database that may have changed. The threads are few, and a database that hangs holds one of
        them for seconds only, and is then left alone."""
        refs = dict(self._refs)
        self._known = {pk: self._known.get(pk) or _Known() for pk in refs}
        inserted = self._inserted()
        due = [pk for pk, ref in refs.items() if self._is_due(pk, _count(inserted, ref), now)]
        until = time.monotonic() + TICK_SECONDS
        for batch in itertools.batched(due, 4 * READERS):
            if self._stop.is_set() or time.monotonic() > until:
                return  # the rest is as due at the next tick
            for pk in batch:
                self._known[pk].inserted = _count(inserted, refs[pk])
            list(pool.map(lambda pk: self._look(pk, refs[pk], now), batch))

    def _is_due(self, pk: str, inserted: int, now: float) -> bool:
        known = self._known[pk]
        if inserted < 0 or now < known.look_at:
            return False
        return known.busy or inserted != known.inserted or now >= known.full_at

    def _look(self, pk: str, ref: Ref, now: float) -> None:
        known = self._known[pk]
        self.looks += 1
        try:
            seen = airflow_metadata.vitals(self._admin_url, ref.release_name)
        except DataPlaneError:
            known.look_at = now + UNREACHABLE_PAUSE_SECONDS
            known.busy, text = True, "silent"
        else:
            known.busy, text = bool(seen.loads) or seen.waiting, reported(seen)
            known.full_at = now + FULL_SECONDS * random.uniform(0.6, 1.0)  # noqa: S311 - spread
        if known.text is not None and known.text != text:
            self._report(pk)
        known.text = text

    def _inserted(self) -> dict[str, int]:
        """Rows ever inserted, by database, as the server counts them. One query for all."""
        with databases.connect(self._admin_url) as admin:
            rows = admin.execute(
                "SELECT datname, tup_inserted FROM pg_stat_database WHERE datname IS NOT NULL"
            )
            return {str(name): int(count) for name, count in rows.fetchall()}


def reported(seen: Vitals) -> str:
    """A text that changes when a queue's load does, or when a job falls silent or comes back."""
    loads = [f"{queue} {state} {count}" for (queue, state), count in sorted(seen.loads.items())]
    fresh = [
        beat for beat in seen.heartbeats if (seen.now - beat.latest).total_seconds() <= HEARTBEAT_SECONDS
    ]
    jobs = sorted(f"{beat.job_type} {beat.hostname}" for beat in fresh if beat.latest > beat.began)
    return "; ".join([*loads, *jobs])


def _count(inserted: Mapping[str, int], ref: Ref) -> int:
    """Rows inserted into that Deployment's database; -1 while there is none."""
    return inserted.get(databases.database_name(ref.release_name), -1)
