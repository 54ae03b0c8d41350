"""What an API server stores, for the emulator: objects, their versions and owners, watches, and how things end."""

import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from deployments.tests.dataplane.kubernetes import fields

type Json = dict[str, Any]


class Refusal(Exception):
    """An answer that is not 2xx, as the Status object that the API server sends."""

    def __init__(self, status: int, reason: str, message: str, causes: list[Json] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status}
        self.body |= {"reason": reason, "message": message, "details": {"causes": causes or []}}


@dataclass(frozen=True)
class Place:
    """Where an object is kept. `api` is "v1" or "apps/v1"."""

    api: str
    plural: str
    namespace: str
    name: str


@dataclass
class Store:
    """Every method takes the lock. What is stored is never changed, only replaced, so it can be handed out as it is."""

    objects: dict[Place, Json] = field(default_factory=dict)
    history: list[tuple[int, str, Place, Json]] = field(default_factory=list)
    version: int = 100
    lock: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()))

    def get(self, place: Place) -> Json:
        with self.lock:
            if place not in self.objects:
                raise Refusal(404, "NotFound", f'{place.plural} "{place.name}" not found')
            return self.objects[place]

    def listed(self, api: str, plural: str, namespace: str) -> tuple[list[Json], int]:
        with self.lock:
            found = [
                self.objects[place]
                for place in sorted(self.objects, key=lambda p: (p.namespace, p.name))
                if (place.api, place.plural) == (api, plural) and namespace in ("", place.namespace)
            ]
            return found, self.version

    def apply(self, place: Place, manifest: Json, manager: str) -> tuple[Json, bool]:
        """Server-side apply by force. The object, and whether it was made."""
        with self.lock:
            made = place not in self.objects
            live = self._new(place, manifest) if made else copied(self.objects[place])
            self._check_immutable(place, live, manifest, made)
            desired = fields.leaves(manifest)
            owners = self._owners(live)
            mine = (manager, "Apply", "")
            before = fields.leaves(live)
            others = set().union(*(p for who, p in owners.items() if who != mine)) if owners else set()
            for path in sorted(owners.get(mine, set()) - set(desired) - others):
                fields.drop(live, path)
            for path, value in desired.items():
                if before.get(path, ...) != value:
                    for who in owners:
                        owners[who] -= {path}
                fields.put(live, path, value)
            owners[mine] = set(desired)
            self._save(place, live, owners, mine)
            return self.objects[place], made

    def change(self, place: Place, manager: str, change: Json, subresource: str = "") -> Json:
        """A JSON merge patch, as kubectl, controllers and scalers write."""
        with self.lock:
            live = copied(self.get(place))
            before = fields.leaves(live)
            held = (change.get("metadata") or {}).get("resourceVersion")
            if held and held != live["metadata"]["resourceVersion"]:
                raise Refusal(
                    409, "Conflict", "the object has been modified; please apply your changes to the latest"
                )
            changed = merged(live, change)
            self._check_immutable(place, live, changed, False)
            after = fields.leaves(changed)
            mine = (manager, "Update", subresource)
            owners = self._owners(live)
            owned_before = [set(owned) for owned in owners.values()]
            touched = {p for p in after if before.get(p, ...) != after[p]}
            gone = set(before) - set(after)
            for who in owners:
                owners[who] -= touched | gone
            # As the real one: a scale of replicas that nobody owns is not written down.
            if subresource != "scale" or any(fields.REPLICAS in owned for owned in owned_before):
                owners[mine] = owners.get(mine, set()) | touched
            self._save(place, changed, owners, mine)
            self._end_if_free(place)
            return self.objects.get(place, changed)

    def delete(self, place: Place, uid: str = "") -> Json:
        with self.lock:
            live = copied(self.get(place))
            if uid and live["metadata"]["uid"] != uid:
                raise Refusal(409, "Conflict", "Precondition failed: UID in precondition does not match")
            if "deletionTimestamp" not in live["metadata"]:
                live["metadata"]["deletionTimestamp"] = now()
                if place.plural == "namespaces":
                    live["status"] = {"phase": "Terminating"}
                self._save(place, live, self._owners(live), None)
            self._end_if_free(place)
            return live

    def watch(
        self, api: str, plural: str, namespace: str, after: int, until: float
    ) -> Iterator[tuple[str, Json]]:
        """Changes after a version, as they come, until the monotonic moment."""
        import time

        seen = 0
        while (left := until - time.monotonic()) > 0:
            with self.lock:
                fresh = self.history[seen:]
                seen = len(self.history)
                if not fresh:
                    self.lock.wait(min(left, 0.5))
            for version, kind, place, document in fresh:
                if (
                    version > after
                    and (place.api, place.plural) == (api, plural)
                    and namespace in ("", place.namespace)
                ):
                    yield kind, document

    def _new(self, place: Place, manifest: Json) -> Json:
        if place.namespace:
            self._check_namespace(place)
        meta = {"name": place.name, "uid": str(uuid.uuid4()), "creationTimestamp": now(), "generation": 0}
        meta |= {"namespace": place.namespace} if place.namespace else {}
        live = {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": meta}
        if place.plural == "namespaces":
            live |= {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
        if (place.api, place.plural) == ("apps/v1", "deployments"):
            live["spec"] = {"replicas": 1}
        return live

    def _check_namespace(self, place: Place) -> None:
        home = self.objects.get(Place("v1", "namespaces", "", place.namespace))
        if home is None:
            raise Refusal(404, "NotFound", f'namespaces "{place.namespace}" not found')
        if "deletionTimestamp" in home["metadata"]:
            text = f'{place.plural} "{place.name}" is forbidden: unable to create new content in namespace '
            text += f"{place.namespace} because it is being terminated"
            causes = [{"reason": "NamespaceTerminating", "message": text, "field": "metadata.namespace"}]
            raise Refusal(403, "Forbidden", text, causes)

    @staticmethod
    def _check_immutable(place: Place, live: Json, desired: Json, made: bool) -> None:
        fixed = {"deployments": "selector", "jobs": "template"}.get(place.plural)
        was, will = (d.get("spec", {}).get(fixed) if fixed else None for d in (live, desired))
        if not made and fixed and will is not None and was != will:
            text = "Invalid value: field is immutable"
            causes = [{"reason": "FieldValueInvalid", "message": text, "field": f"spec.{fixed}"}]
            raise Refusal(422, "Invalid", f'"{place.name}" is invalid: spec.{fixed}: {text}', causes)

    @staticmethod
    def _owners(live: Json) -> dict[tuple[str, str, str], set[fields.Path]]:
        return {
            (m["manager"], m["operation"], m.get("subresource", "")): fields.paths(m["fieldsV1"])
            for m in live["metadata"].get("managedFields", [])
        }

    def _save(self, place: Place, live: Json, owners: dict[Any, set[fields.Path]], mine: Any) -> None:
        before = self.objects.get(place)
        times = {
            (m["manager"], m["operation"], m.get("subresource", "")): m["time"]
            for m in (before or live)["metadata"].get("managedFields", [])
        }
        meta = live["metadata"]
        meta["managedFields"] = [
            {
                "manager": who[0],
                "operation": who[1],
                "apiVersion": live["apiVersion"],
                "fieldsType": "FieldsV1",
            }
            | {"time": times.get(who, now()), "fieldsV1": fields.tree(owned)}
            | ({"subresource": who[2]} if who[2] else {})
            for who, owned in owners.items()
            if owned
        ]
        if before is not None and before == live:
            return  # nothing changed: the version stays
        for entry in meta["managedFields"]:
            if mine and (entry["manager"], entry["operation"], entry.get("subresource", "")) == mine:
                entry["time"] = now()
        if before is None or before.get("spec") != live.get("spec"):
            meta["generation"] = meta.get("generation", 0) + 1
        self._put(place, live, "ADDED" if before is None else "MODIFIED")

    def _put(self, place: Place, live: Json, kind: str) -> None:
        self.version += 1
        live["metadata"]["resourceVersion"] = str(self.version)
        if kind == "DELETED":
            self.objects.pop(place, None)
        else:
            self.objects[place] = live
        self.history.append((self.version, kind, place, live))
        self.lock.notify_all()

    def _end_if_free(self, place: Place) -> None:
        """Remove what is being deleted once no finalizer holds it; a namespace once it is empty."""
        live = self.objects.get(place)
        if live is None or "deletionTimestamp" not in live["metadata"]:
            home = Place("v1", "namespaces", "", place.namespace)
        elif place.plural == "namespaces":
            home = place
        else:
            if not live["metadata"].get("finalizers"):
                self._put(place, copied(live), "DELETED")
            home = Place("v1", "namespaces", "", place.namespace)
        if "deletionTimestamp" in self.objects.get(home, {"metadata": {}})["metadata"]:
            self._empty(home)

    def _empty(self, home: Place) -> None:
        inside = [place for place in self.objects if place.namespace == home.name]
        for place in inside:
            live = copied(self.objects[place])
            live["metadata"].setdefault("deletionTimestamp", now())
            self._put(place, live, "MODIFIED" if live["metadata"].get("finalizers") else "DELETED")
        held = [(p, f) for p in self.objects if p.namespace == home.name for f in self._finalizers(p)]
        namespace = copied(self.objects[home])
        if not held:
            self._put(home, namespace, "DELETED")
            return
        kinds = ", ".join(sorted({f"{p.plural}.{p.api.rpartition('/')[0]}" for p, _ in held}))
        names = ", ".join(f"{f} in {len(held)} resource instances" for f in sorted({f for _, f in held}))
        remaining = f"Some resources are remaining: {kinds} has {len(held)} resource instances"
        text = f"Some content in the namespace has finalizers remaining: {names}"
        namespace["status"]["conditions"] = [
            {
                "type": "NamespaceContentRemaining",
                "status": "True",
                "reason": "SomeResourcesRemain",
                "message": remaining,
            },
            {
                "type": "NamespaceFinalizersRemaining",
                "status": "True",
                "reason": "SomeFinalizersRemain",
                "message": text,
            },
        ]
        self._put(home, namespace, "MODIFIED")

    def _finalizers(self, place: Place) -> list[str]:
        found: list[str] = self.objects[place]["metadata"].get("finalizers", [])
        return found


def merged(target: Any, change: Any) -> Any:
    """JSON merge patch (RFC 7386)."""
    if not isinstance(change, dict):
        return copied(change)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def copied(document: Any) -> Any:
    """A deep copy, several times as fast as `copy.deepcopy`."""
    return json.loads(json.dumps(document))


def now() -> str:
    """The present, as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamped(text: str) -> str:
    """A line as the API hands it out with timestamps."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z {text}\n"
