"""Who changed what is ours. Pure.

The API server writes down who owns each field (`metadata.managedFields`). What field manager `airdeck` owns right
after an apply is marked in the inventory; when the mark of the object that is there now differs, a person took a field
from us, or dropped it. Fields that we never set (status, those that a webhook or a cluster's controllers add) are
no one's business, and the number of replicas may belong to the scaler.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from sys import intern
from typing import Any

from deployments.dataplane.kubernetes.names import MANAGER, SCALER
from deployments.dataplane.kubernetes.text import clean

type Raw = Mapping[str, Any]

OBSERVER = "airdeck-observer"  # puts ANNOTATION on the inventory
ANNOTATION = "airdeck.io/drift"
INVENTORY_KEY = "objects"  # the entry of ConfigMap names.INVENTORY that holds `dump(entries)`

# Who may own `spec.replicas` beside us: our scaler, KEDA, and the horizontal autoscaler.
SCALERS = frozenset({MANAGER, SCALER, "keda", "keda-operator", "kube-controller-manager"})


@dataclass(frozen=True, slots=True)
class AppliedObject:
    """One applied object, as the inventory remembers it. Made by `entry` from the answer to the apply."""

    kind: str
    name: str
    uid: str
    ownership_digest: str
    applied: str = ""  # when field manager `airdeck` last changed it, by the API server's clock


@dataclass(frozen=True)
class Drift:
    """One object that another person changed (or removed: then no one knows who)."""

    kind: str
    name: str
    manager: str = ""
    removed: bool = False

    @property
    def sentence(self) -> str:
        """For the Activity, once it is put right."""
        what = f"{clean(self.kind, 60)} {clean(self.name, 253)}"
        if self.removed:
            return f"{what} was removed; it was made again."
        return f"{what} was changed by {clean(self.manager, 128) or 'another program'}; it was put back."


def entry(applied: Raw) -> AppliedObject:
    """What to remember of an object, from the API server's answer to its apply."""
    meta = applied.get("metadata", {})
    return AppliedObject(
        kind=str(applied.get("kind", "")),
        name=str(meta.get("name", "")),
        uid=str(meta.get("uid", "")),
        ownership_digest=ownership_digest(applied),
        applied=applied_at(applied),
    )


def ownership_digest(found: Raw) -> str:
    """Changes exactly when field manager `airdeck` owns other fields than before, or a stranger took the replicas.
    Holds no value of any field."""
    own: Any = {}
    for manager in _managers(found):
        if manager.get("manager") == MANAGER and manager.get("operation") == "Apply":
            own = manager.get("fieldsV1") or {}
    spec = {key: value for key, value in (own.get("f:spec") or {}).items() if key != "f:replicas"}
    document = {**own, "f:spec": spec, "replicas": _foreign_scaler(found)}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def applied_at(found: Raw) -> str:
    """When field manager `airdeck` last changed the object; "" when it never did."""
    times = [
        str(m.get("time", ""))
        for m in _managers(found)
        if m.get("manager") == MANAGER and m.get("operation") == "Apply"
    ]
    return max(times, default="")


def blame(found: Raw) -> str:
    """The field manager that changed the object last, apart from our own and those that only write its status."""
    strangers = [
        (str(m.get("time", "")), str(m.get("manager", "")))
        for m in _managers(found)
        if m.get("manager") not in {*SCALERS, OBSERVER} and m.get("subresource") != "status"
    ]
    return clean(max(strangers, default=("", ""))[1], 128)


def judge(known: AppliedObject, found: "Seen | None") -> Drift | None:
    """Whether the object that is there now (None: it is not) is no longer as it was applied.

    An apply of ours that the inventory does not know yet is none: `applied` of the object is newer then.
    """
    if found is None:
        return Drift(known.kind, known.name, removed=True)
    if found.applied > known.applied:
        return None
    if found.uid != known.uid or found.ownership_digest != known.ownership_digest:
        return Drift(known.kind, known.name, found.manager)
    return None


@dataclass(frozen=True, slots=True)
class Seen:
    """All that is kept in memory of one object to detect drift."""

    uid: str
    ownership_digest: str
    applied: str
    manager: str


def seen(found: Raw) -> Seen:
    """Trim an object, or the metadata alone, to what shows drift."""
    applied, manager = intern(applied_at(found)), intern(blame(found))
    return Seen(str(found["metadata"].get("uid", "")), ownership_digest(found), applied, manager)


def dump(entries: Iterable[AppliedObject]) -> str:
    """Entries as the inventory keeps them."""
    return json.dumps([asdict(one) for one in entries], separators=(",", ":"))


def load(text: object) -> tuple[AppliedObject, ...]:
    """The entries of an inventory; none when it is not one of ours. What repeats in every inventory is kept once: an
    observer holds thousands."""
    return tuple(
        replace(one, kind=intern(one.kind), name=intern(one.name), applied=intern(one.applied))
        for one in _read(text, AppliedObject)
        if isinstance(one.kind, str) and isinstance(one.name, str) and isinstance(one.applied, str)
    )


def annotation(drifts: Iterable[Drift]) -> str:
    """What to put on the inventory; "" for nothing."""
    found = [asdict(one) for one in sorted(drifts, key=lambda d: (d.kind, d.name))]
    return json.dumps(found, separators=(",", ":")) if found else ""


def read_annotation(text: object) -> tuple[Drift, ...]:
    """What `annotation` wrote; nothing when it is nonsense."""
    return tuple(_read(text, Drift))


def _read[T: (AppliedObject, Drift)](text: object, made: type[T]) -> list[T]:
    try:
        document = json.loads(text) if isinstance(text, str) else []
        return [made(**one) for one in document]
    except (ValueError, TypeError):
        return []


def _managers(found: Raw) -> list[Raw]:
    managers = (found.get("metadata") or {}).get("managedFields") or []
    return [m for m in managers if isinstance(m, Mapping)]


def _foreign_scaler(found: Raw) -> str:
    """Who owns `spec.replicas`, when it is neither us nor a scaler."""
    for manager in _managers(found):
        spec = (manager.get("fieldsV1") or {}).get("f:spec") or {}
        if "f:replicas" in spec and manager.get("manager") not in SCALERS:
            return str(manager.get("manager", ""))
    return ""
