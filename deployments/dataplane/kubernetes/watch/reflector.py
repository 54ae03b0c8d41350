"""One kind's list and watch, kept alive by a thread, and what is kept in memory of its objects.

Never a dead cache: a feed that fails, falls silent or dies of a bug says so (`error`) until it has listed again.
Nothing is decided by a cache but whom to wake and what to look at again.
"""

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from sys import intern
from typing import Any

import structlog

from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable
from deployments.dataplane.kubernetes.api.client import Api, ApiStream, path_of
from deployments.dataplane.kubernetes.api.errors import ApiRefused, Busy, SignInRefused
from deployments.dataplane.kubernetes.objects import drift
from deployments.dataplane.kubernetes.watch import kinds
from deployments.dataplane.kubernetes.watch.kinds import WatchedKind
from deployments.dataplane.kubernetes.watch.pulse import Pulse

logger = structlog.get_logger(__name__)

PAGE = 500  # objects of one page of a list
LIST_SECONDS = 60.0  # all pages of one list
MAX_PAGE = 64 * 1024 * 1024
MAX_EVENT = 8 * 1024 * 1024
# A watch ends by itself after this long, and what it missed is found: by a list of everything.
WINDOW_SECONDS = 300
# For workloads sooner, by a list of their metadata: a missed change is found within a minute.
CHECK_SECONDS = 50
SILENCE_SECONDS = 90.0  # the API server sends a bookmark about once a minute, or it is gone
BACKOFF_CAP = 30.0
STEADY_SECONDS = 5.0  # a watch that lasted so long worked: what failed before it counts no more
FORBIDDEN_REST = 30.0  # a right that is missing is asked for once in this long, whatever the number of kinds
UNKNOWN_KIND_REST = 600.0  # until an optional kind that the cluster does not know is asked for again


class Gone(Exception):
    """The resource version is too old (410): list again."""


@dataclass(slots=True)
class Held:
    """All that is kept of one object."""

    owner: str  # the id of its Deployment
    state: str
    seen: drift.Seen
    version: str
    inventory: "SeenInventory | None" = None


@dataclass(frozen=True, slots=True)
class SeenInventory:
    """One Deployment's inventory as last seen."""

    namespace: str
    version: str
    entries: tuple[drift.AppliedObject, ...]
    annotation: str
    ending: bool


class Feed:
    """See the module docstring. `report` gets the id of each Deployment of which something changed, and whether it is
    something that pages show. `pulse` says whether the API server answers at all."""

    def __init__(
        self,
        kind: WatchedKind,
        api: Callable[[], Api],
        report: Callable[[str, bool], None],
        pulse: Pulse,
        forbidden: set[str],
    ) -> None:
        self.kind = kind
        self.objects: dict[tuple[str, str], Held] = {}
        self.live = False  # what is in the cache is what is there
        self.error = ""  # why it is not live
        self.listed = 0  # how many times, for tests and the bench
        self.watched_at = time.monotonic()
        self._stream: ApiStream | None = None
        self._version = ""  # where to watch on from; "": list first
        self._api, self._report, self._pulse = api, report, pulse
        self._forbidden = forbidden  # the kinds that were refused by 403, of all feeds
        self._what = f"the list of every {kind.kind}"
        self._path = path_of(kind.api_version, kind.kind, "")

    def run(self) -> None:
        """Never raises; returns when the pulse stops."""
        failures = 0
        while not self._pulse.stopped:
            self._stream = None
            began = time.monotonic()
            try:
                if self._version:
                    self._watch()
                    failures = 0
                else:
                    self._list()  # which says nothing about the watch after it
                rest = 0.0 if self._version or time.monotonic() - began > 1.0 else 1.0
            except (Gone, DataPlaneError) as error:
                failures = 0 if time.monotonic() - began > STEADY_SECONDS else failures
                rest = self._fail(error, failures)
                failures += 1
            except Exception as error:
                logger.exception("feed_failed", kind=self.kind.kind)
                self._dead(f"The watch of every {self.kind.kind} failed ({type(error).__name__}).")
                rest = _backoff(failures + 3)
                failures += 1
            if rest:
                self._pulse.wait(rest)

    def close(self) -> None:
        """End the wait for the next event; the pulse is stopped."""
        if self._stream is not None:
            self._stream.cut()

    def _fail(self, error: Gone | DataPlaneError, failures: int) -> float:
        """Note why; how long to wait. A watch that was cut is resumed once, and listed again after that."""
        if isinstance(error, Gone):
            self._version = ""
            return _backoff(failures) if failures else 0.0
        status = error.status if isinstance(error, ApiRefused) else 0
        if (
            status in (403, 404) and self.kind.optional
        ):  # an unknown kind may be forbidden before it is looked for
            self.objects, self._version = {}, ""
            self._alive()
            self.watched_at += UNKNOWN_KIND_REST
            return UNKNOWN_KIND_REST
        if isinstance(error, SignInRefused):
            self._pulse.lost(error)
        if failures or status or not self._version:
            self._dead(str(error))
        if status == 403:
            self._forbidden.add(self.kind.kind)
            return FORBIDDEN_REST * max(1, len(self._forbidden))
        asked = min(error.after, BACKOFF_CAP) if isinstance(error, Busy) else 0.0
        return max(_backoff(failures), asked)

    def _dead(self, why: str) -> None:
        if self.live or self.error != why:
            logger.warning("feed_silent", kind=self.kind.kind, why=why)
        self.live, self.error, self._version = False, why, ""

    def _alive(self) -> None:
        self.watched_at = time.monotonic()
        if not self.live:
            self.live, self.error = True, ""
            self._forbidden.discard(self.kind.kind)

    # -- Lists --

    def _list(self) -> None:
        """Take the cache from a list of everything. Reports what differs."""
        fresh: dict[tuple[str, str], Held] = {}
        version = ""
        for page in self._pages(self.kind.list_accept):
            version = _version(page)
            for found in page.get("items") or []:
                fresh[_key(found)] = self._held(found)
        known, self.objects = self.objects, fresh
        self.listed += 1
        self._version = version
        self._alive()
        for key in known.keys() | fresh.keys():
            self._compare(known.get(key), fresh.get(key))

    def _check(self) -> None:
        """Find out whether the watch has missed something: then everything is listed again. In a busy cluster something
        changes between the end of a watch and this list, each time; of that the next watch tells."""
        there: dict[tuple[str, str], str] = {}
        version = ""
        for page in self._pages(kinds.METADATA_LIST):
            version = _version(page)
            there.update({_key(found): _version(found) for found in page.get("items") or []})
        self._alive()
        for key in self.objects.keys() - there.keys():  # no list is older than the watch before it
            self._compare(self.objects.pop(key), None)
        others = [
            each
            for key, each in there.items()
            if key not in self.objects or self.objects[key].version != each
        ]
        if not others:
            self._version = version
        elif not all(_is_newer(each, self._version) for each in others):
            self._version = ""

    def _pages(self, accept: str) -> Iterator[dict[str, Any]]:
        """Every page of a list; all are of one version."""
        more, deadline = "", time.monotonic() + LIST_SECONDS
        while True:
            query = {**self.kind.query, "limit": str(PAGE), **({"continue": more} if more else {})}
            page = self._page(accept, query, deadline)
            yield page
            more = str((page.get("metadata") or {}).get("continue") or "")
            if not more:
                return

    def _page(self, accept: str, query: dict[str, str], deadline: float) -> dict[str, Any]:
        pieces, size = [], 0
        try:
            with self._api().stream(self._path, self._what, 15.0, accept, **query) as stream:
                for piece in stream:
                    pieces.append(piece)
                    size += len(piece)
                    if size > MAX_PAGE or time.monotonic() > deadline:
                        raise DataPlaneUnreachable("The cluster's API server answers lists too slowly.")
        except ApiRefused as error:
            raise (Gone() if error.status == 410 else error) from None
        return _document(b"".join(pieces))

    # -- Watching --

    def _watch(self) -> None:
        """Follow changes until the window ends."""
        checked = self.kind.kind == "Deployment"
        window = int((CHECK_SECONDS if checked else WINDOW_SECONDS) * random.uniform(0.8, 1.0))  # noqa: S311 - spread
        query = {
            **self.kind.query,
            "watch": "true",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(window),
        }
        try:
            with self._api().stream(
                self._path, self._what, SILENCE_SECONDS, self.kind.watch_accept, **query
            ) as stream:
                self._alive()
                self._stream = stream
                for line in _lines(stream):
                    if self._pulse.stopped:
                        return
                    self._event(_document(line))
                    self._alive()
        except ApiRefused as error:
            raise (Gone() if error.status == 410 else error) from None
        if checked:
            self._check()
        else:
            self._version = ""

    def _event(self, event: dict[str, Any]) -> None:
        """Take one event in."""
        found = event.get("object") or {}
        match event.get("type"):
            case "ERROR":
                if found.get("code") == 410:
                    raise Gone
                raise DataPlaneUnreachable(f"The watch of every {self.kind.kind} ended with an error.")
            case "ADDED" | "MODIFIED":
                held, known = self._held(found), self.objects.get(_key(found))
                self.objects[_key(found)] = held
                self._compare(known, held)
            case "DELETED":
                self._compare(self.objects.pop(_key(found), None), None)
        self._version = _version(found) or self._version

    def _compare(self, known: Held | None, held: Held | None) -> None:
        """Report what became of one object, when a person should look."""
        for one in {held.owner if held else "", known.owner if known else ""} - {""}:
            if known is None or held is None or known.state != held.state or known.owner != held.owner:
                self._report(one, self.kind.seen)
            elif known.seen != held.seen or known.inventory != held.inventory:
                self._report(one, False)

    def _held(self, found: dict[str, Any]) -> Held:
        meta = found.get("metadata") or {}
        # Names repeat in every Deployment, and ids in every object of one: each is kept once.
        owner, version = intern(kinds.deployment_id(found)), _version(found)
        if self.kind is not kinds.INVENTORIES:
            return Held(owner, intern(kinds.state(self.kind.kind, found)), drift.seen(found), version)
        annotation = str((meta.get("annotations") or {}).get(drift.ANNOTATION) or "")
        ending = bool(meta.get("deletionTimestamp"))
        entries = drift.load((found.get("data") or {}).get(drift.INVENTORY_KEY))
        inventory = SeenInventory(_key(found)[0], version, entries, annotation, ending)
        return Held(owner, f"{annotation} {ending}", drift.seen(found), version, inventory)


def _key(found: dict[str, Any]) -> tuple[str, str]:
    meta = found.get("metadata") or {}
    return intern(str(meta.get("namespace", ""))), intern(str(meta.get("name", "")))


def _version(found: dict[str, Any]) -> str:
    return str((found.get("metadata") or {}).get("resourceVersion") or "")


def _is_newer(version: str, than: str) -> bool:
    """Whether a change came after another. Versions of one kind are numbers that grow (KEP-5504; with etcd they always
    did); of others nothing is known."""
    return version.isdecimal() and than.isdecimal() and int(version) > int(than)


def _lines(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines; what follows the last line break of a stream that was cut is no event."""
    rest = b""
    for piece in stream:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line for line in lines if line.strip())
        if len(rest) > MAX_EVENT:
            raise DataPlaneUnreachable("The cluster's API server sent an event that is too large.")


def _document(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        raise DataPlaneUnreachable(
            "The cluster's API server sent something that is not whole JSON."
        ) from None
    if not isinstance(found, dict):
        raise DataPlaneUnreachable("The cluster's API server sent something that is not an object.")
    return found


def _backoff(failures: int) -> float:
    return float(min(BACKOFF_CAP, 0.25 * 2 ** min(failures, 8)) * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
