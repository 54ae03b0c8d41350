"""Finds in what the feeds hold whether another person changed or removed what is ours, and writes it on the
Deployment's inventory, where the next pass reads it."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import CLUSTER_KINDS, Api, path_of
from deployments.dataplane.kubernetes.objects import drift
from deployments.dataplane.kubernetes.objects.drift import AppliedObject, Drift
from deployments.dataplane.kubernetes.watch.kinds import METADATA
from deployments.dataplane.kubernetes.watch.reflector import Feed, SeenInventory

logger = structlog.get_logger(__name__)

# Our own apply changes an object first and the inventory a moment later. A drift counts once it has lasted.
HOLD_SECONDS = 3.0
# What is changed again and again (two controllers in conflict) is put back less and less often.
CONFLICT_BACKOFF_FACTOR, CONFLICT_BACKOFF_CAP, CONFLICT_OVER_SECONDS = 4.0, 300.0, 900.0


@dataclass
class _PendingDrift:
    """Since when one object differs, and how often it was reported before."""

    since: float | None = None
    reported: int = 0
    reported_at: float = field(default=-CONFLICT_OVER_SECONDS)


class DriftDetector:
    """Judges the Deployments that `mark_dirty` named, at every `look`. One thread calls `look`, any thread
    `mark_dirty`."""

    def __init__(
        self,
        feeds: Mapping[str, Feed],
        inventories: Feed,
        api: Callable[[], Api],
        may_write: Callable[[], bool],
    ) -> None:
        self._feeds, self._inventories = feeds, inventories
        self._api, self._may_write = api, may_write
        self._lock = threading.Lock()
        self._dirty: set[str] = set()
        self._pending: dict[tuple[str, str, str], _PendingDrift] = {}

    def mark_dirty(self, owner: str) -> None:
        """Something of that Deployment changed."""
        with self._lock:
            self._dirty.add(owner)

    def look(self, now: float | None = None) -> None:
        """Judge every Deployment that is dirty; what cannot be judged in full stays so."""
        now = time.monotonic() if now is None else now
        if not self._inventories.live or not self._dirty:
            return
        with self._lock:
            dirty, self._dirty = self._dirty, set()
        for held in list(self._inventories.objects.values()):
            inventory = held.inventory
            if held.owner not in dirty or inventory is None or inventory.ending:
                continue
            try:
                clean = self._judge(held.owner, inventory, now)
            except Exception:
                logger.exception("drift_not_judged", deployment=held.owner)
                clean = False
            if not clean:
                self.mark_dirty(held.owner)

    def _judge(self, owner: str, inventory: SeenInventory, now: float) -> bool:
        """Whether the Deployment is clean again: judged in full, and what was found is written down."""
        sure, lasting = True, []
        reported = set(drift.read_annotation(inventory.annotation))
        for entry in inventory.entries:
            feed = self._feeds.get(entry.kind)
            if feed is None:
                continue
            if not feed.live:
                sure = False
                continue
            target = "" if entry.kind in CLUSTER_KINDS else inventory.namespace
            held = feed.objects.get((target, entry.name))
            found = drift.judge(entry, held.seen if held else None)
            waits = found not in reported and self._waits((owner, entry.kind, entry.name), found, now)
            sure &= not waits
            if found and not waits and (found in reported or self._confirmed(owner, entry, feed, target)):
                lasting.append(found)
        return self._report(owner, inventory, lasting, now) and sure

    def _confirmed(self, owner: str, entry: AppliedObject, feed: Feed, target: str) -> bool:
        """Whether the API server itself says so. A cache may be behind: while it lists, what was made since is missing
        in it. Whatever it sees later makes the Deployment dirty again."""
        path = path_of(feed.kind.api_version, entry.kind, target, entry.name)
        try:
            there = self._api().get(path, f"{entry.kind} {entry.name}", METADATA)
        except DataPlaneError as error:
            logger.info("drift_not_confirmed", deployment=owner, why=str(error))
            self.mark_dirty(owner)
            return False
        if drift.judge(entry, drift.seen(there) if there else None):
            return True
        self._pending[owner, entry.kind, entry.name].since = None
        return False

    def _waits(self, key: tuple[str, str, str], found: Drift | None, now: float) -> bool:
        """Whether what was found has yet to last."""
        if found is None:
            if key in self._pending:
                self._pending[key].since = None
                if now - self._pending[key].reported_at > CONFLICT_OVER_SECONDS:
                    del self._pending[key]
            return False
        known = self._pending.setdefault(key, _PendingDrift())
        if now - known.reported_at > CONFLICT_OVER_SECONDS:
            known.reported = 0
        if known.since is None:
            known.since = now
        return now - known.since < min(
            CONFLICT_BACKOFF_CAP, HOLD_SECONDS * CONFLICT_BACKOFF_FACTOR**known.reported
        )

    def _report(self, owner: str, inventory: SeenInventory, lasting: list[Drift], now: float) -> bool:
        """Write it on the inventory, if it is not there yet; whether nothing is left to do."""
        text = drift.annotation(lasting)
        if not text or text == inventory.annotation:
            return True
        if not self._may_write():
            return False
        # The version guards against a leader that slept: who knows an older inventory writes nothing.
        change = {"metadata": {"resourceVersion": inventory.version, "annotations": {drift.ANNOTATION: text}}}
        try:
            path = path_of("v1", "ConfigMap", inventory.namespace, names.INVENTORY)
            self._api().merge(path, change, "its inventory", drift.OBSERVER)
        except DataPlaneError as error:
            logger.info("drift_not_written", deployment=owner, why=str(error))
            return False
        logger.info("drift_found", deployment=owner, objects=len(lasting))
        for one in lasting:
            # None where the leader before reported it.
            known = self._pending.setdefault((owner, one.kind, one.name), _PendingDrift())
            known.reported, known.reported_at, known.since = known.reported + 1, now, None
        return True
