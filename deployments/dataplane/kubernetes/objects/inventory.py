"""What was applied of one Deployment: the ConfigMap `airdeck-inventory` in its namespace.

It is the driver's memory. `objects` holds for the watcher what each object looked like when we left it (`drift`);
`rendered` holds for the next apply what need not be sent again, and what to prune. Both hold marks, never values: the
marks of what was rendered are keyed, so that no one can guess a short secret from them.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from deployments.dataplane.contract import Ref
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import Api, path_of
from deployments.dataplane.kubernetes.api.transport import Json
from deployments.dataplane.kubernetes.objects import drift
from deployments.dataplane.kubernetes.objects.drift import AppliedObject, Drift

type Id = tuple[str, str, str]  # apiVersion, kind, name


@dataclass(frozen=True)
class Inventory:
    """One reading of it. `digest` is that of the Release last applied in full, with everything ready; `applied` that
    of the Release whose objects were last sent in full. `rendered` maps what may exist to the mark of what was sent,
    "" for what was about to be."""

    digest: str = ""
    applied: str = ""
    rendered: Mapping[Id, str] = field(default_factory=dict)
    entries: Mapping[tuple[str, str], AppliedObject] = field(default_factory=dict)
    drifts: tuple[Drift, ...] = ()
    annotation: str = ""
    version: str = ""  # resourceVersion
    found: bool = False

    def data(self) -> dict[str, str]:
        """As the ConfigMap keeps it."""
        rows = [[*key, manifest_digest] for key, manifest_digest in sorted(self.rendered.items())]
        return {
            "digest": self.digest,
            "applied": self.applied,
            "rendered": json.dumps(rows, separators=(",", ":")),
            drift.INVENTORY_KEY: drift.dump(self.entries[key] for key in sorted(self.entries)),
        }

    def without(self, key: Id) -> "Inventory":
        """This one once the object is gone."""
        rendered = {k: v for k, v in self.rendered.items() if k != key}
        entries = {k: v for k, v in self.entries.items() if k != key[1:]}
        return replace(self, rendered=rendered, entries=entries)


def path(namespace: str) -> str:
    """Where it is."""
    return path_of("v1", "ConfigMap", namespace, names.INVENTORY)


def read(api: Api, ref: Ref, namespace: str) -> Inventory:
    """What the namespace's inventory says; an empty one when there is none of this Deployment."""
    found = api.opening(path(namespace), "the inventory of applied objects")
    labels = ((found or {}).get("metadata") or {}).get("labels") or {}
    return parse(found if labels.get(names.LABEL_DEPLOYMENT) == ref.deployment_id else None)


def parse(found: Json | None) -> Inventory:
    """From the ConfigMap. One that a person broke reads as empty: then everything is applied again."""
    if found is None:
        return Inventory()
    data, meta = found.get("data") or {}, found.get("metadata") or {}
    text = str((meta.get("annotations") or {}).get(drift.ANNOTATION, ""))
    return Inventory(
        digest=str(data.get("digest", "")),
        applied=str(data.get("applied", "")),
        rendered=_rendered(data.get("rendered")),
        entries={(one.kind, one.name): one for one in drift.load(data.get(drift.INVENTORY_KEY))},
        drifts=drift.read_annotation(text),
        annotation=text,
        version=str(meta.get("resourceVersion", "")),
        found=True,
    )


def write(api: Api, ref: Ref, namespace: str, inventory: Inventory) -> Inventory:
    """Keep it. As the cluster has it then."""
    meta = {"name": names.INVENTORY, "namespace": namespace, "labels": names.labels(ref)}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": inventory.data()}
    return parse(api.apply(path(namespace), manifest))


def clear_drift(api: Api, namespace: str, inventory: Inventory) -> None:
    """Take the watcher's annotation off, unless it wrote another one in the meantime (then this raises Refused 409)."""
    meta = {"annotations": {drift.ANNOTATION: None}, "resourceVersion": inventory.version}
    api.merge(path(namespace), {"metadata": meta}, "the inventory of applied objects")


def identity(manifest: Json) -> Id:
    """What names an object in its namespace."""
    return str(manifest["apiVersion"]), str(manifest["kind"]), str(manifest["metadata"]["name"])


def manifest_digest(manifest: Json, key: str) -> str:
    """Changes with the manifest; reveals nothing about what is in it to a reader without `key`."""
    text = json.dumps(manifest, sort_keys=True).encode()
    return hmac.new(key.encode(), text, hashlib.sha256).hexdigest()[:16]


def _rendered(text: object) -> dict[Id, str]:
    try:
        rows = json.loads(text) if isinstance(text, str) else []
        return {
            (str(api), str(kind), str(name)): str(manifest_digest)
            for api, kind, name, manifest_digest in rows
        }
    except (ValueError, TypeError):
        return {}
