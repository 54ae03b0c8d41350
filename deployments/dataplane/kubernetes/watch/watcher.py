"""Watches everything that changes of the Deployments of one cluster: the feeds, the pulse, the judge of drift and the
reader of queue loads, each in threads of its own. Asks nothing about a Deployment that is quiet."""

import threading
import time
from collections.abc import Callable, Mapping

import structlog

from deployments.dataplane.contract import Ref
from deployments.dataplane.kubernetes.api.client import Api
from deployments.dataplane.kubernetes.watch import kinds
from deployments.dataplane.kubernetes.watch.drift_detector import DriftDetector
from deployments.dataplane.kubernetes.watch.pulse import BEAT_SECONDS, Pulse
from deployments.dataplane.kubernetes.watch.queue_loads import LoadReader
from deployments.dataplane.kubernetes.watch.reflector import Feed

logger = structlog.get_logger(__name__)

SILENT_SECONDS = 60.0  # a feed that has not been alive for so long
JUDGE_SECONDS = 0.5
# Feeds are silent between two bookmarks; beyond this a thread is stuck.
STUCK_SECONDS = 120.0


class ClusterWatcher:
    """The watcher of one cluster. `contract.Watcher` says what holds of every method."""

    def __init__(self, api: Callable[[], Api], database_url: str, may_write: Callable[[], bool]) -> None:
        self._pulse = Pulse(api)
        forbidden: set[str] = set()
        self._feeds = [Feed(kind, api, self._report, self._pulse, forbidden) for kind in kinds.KINDS]
        by_kind = {feed.kind.kind: feed for feed in self._feeds if feed.kind is not kinds.INVENTORIES}
        inventories = next(feed for feed in self._feeds if feed.kind is kinds.INVENTORIES)
        self._drift = DriftDetector(by_kind, inventories, api, may_write)
        self._loads = LoadReader(database_url, self._wake)
        self._changed = threading.Condition()
        self._pending: set[str] = set()
        self._known: set[str] = set()  # Deployments that were reported once
        self._began = 0.0
        self._threads: list[threading.Thread] = []

    def changed(self, refs: Mapping[str, Ref], wait: float) -> frozenset[str]:
        if not self._threads:
            self._begin()
        self._loads.follow(refs)
        deadline = time.monotonic() + wait
        with self._changed:
            while True:
                found = self._pending & refs.keys()
                if self._synced():
                    found |= refs.keys() - self._known
                left = deadline - time.monotonic()
                if found or left <= 0 or self._pulse.stopped:
                    self._pending.clear()  # what is of no Deployment of ours is of another Airdeck
                    self._known = (self._known | found) & refs.keys()
                    return frozenset(found)
                self._changed.wait(left)

    def unreachable_reason(self) -> str:
        if self._pulse.error:
            return self._pulse.error
        now = time.monotonic()
        for feed in self._feeds:
            if not feed.live and feed.error:
                return feed.error
            if not feed.live and now - self._began < SILENT_SECONDS:
                return "The first look at the cluster is under way."
            if not feed.live or now - feed.watched_at > STUCK_SECONDS:
                return f"The watch of every {feed.kind.kind} is silent. It is begun again by itself."
        if now - self._pulse.watched_at > SILENT_SECONDS + BEAT_SECONDS:
            return "The cluster's API server is silent. Is it running and reachable?"
        return ""

    def close(self) -> None:
        self._pulse.stop()
        for feed in self._feeds:
            feed.close()
        self._loads.close()
        with self._changed:
            self._changed.notify_all()

    def _begin(self) -> None:
        self._began = time.monotonic()
        for run in (self._pulse.run, self._judging, self._loads.run, *(feed.run for feed in self._feeds)):
            thread = threading.Thread(target=run, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _judging(self) -> None:
        while not self._pulse.stopped:
            try:
                self._drift.look()
            except Exception:
                logger.exception("drift_not_judged")
            time.sleep(JUDGE_SECONDS)

    def _synced(self) -> bool:
        return all(feed.live for feed in self._feeds)

    def _report(self, owner: str, reported: bool) -> None:
        """One object of that Deployment changed; `reported` when pages show it."""
        self._drift.mark_dirty(owner)
        if reported:
            self._wake(owner)

    def _wake(self, owner: str) -> None:
        with self._changed:
            self._pending.add(owner)
            self._changed.notify_all()
