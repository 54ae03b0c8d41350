"""Who owns which field of an object: server-side apply as an API server does it, for the emulator.

An object is flattened to its leaves by path. Lists with keys are merged by them, as the OpenAPI schema says for the
kinds that Airdeck writes; all other lists are one value.
"""

import json
from collections.abc import Iterable
from typing import Any

type Path = tuple[str, ...]

# List -> the fields that tell its items apart.
KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
PORT_KEYS = ({"containerPort": ("containerPort", "protocol")}, {"port": ("port", "protocol")})
REPLICAS: Path = ("f:spec", "f:replicas")
UNOWNED = frozenset(
    ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")
)


def leaves(document: dict[str, Any]) -> dict[Path, Any]:
    """Every owned leaf by its path."""
    found: dict[Path, Any] = {}
    for key, value in document.items():
        if key in ("apiVersion", "kind"):
            continue
        part = {k: v for k, v in value.items() if k not in UNOWNED} if key == "metadata" else value
        if part not in ({}, None) or key != "metadata":
            _walk(part, (f"f:{key}",), found)
    return found


def _walk(value: Any, path: Path, found: dict[Path, Any]) -> None:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            _walk(inner, (*path, f"f:{key}"), found)
    elif isinstance(value, list) and (keys := _keys(path, value)):
        for item in value:
            here = (*path, _item(item, keys))
            found[(*here, ".")] = None
            _walk(item, here, found)
    elif value is not None:
        found[path] = value


def _keys(path: Path, value: list[Any]) -> tuple[str, ...] | None:
    name = path[-1].removeprefix("f:")
    if name == "ports" and value and isinstance(value[0], dict):
        for kind in PORT_KEYS:
            for mark, keys in kind.items():
                if mark in value[0] and "f:ingress" not in path and "f:egress" not in path:
                    return keys
    return KEYS.get(name) if value and isinstance(value[0], dict) else None


def _item(item: dict[str, Any], keys: tuple[str, ...]) -> str:
    message = {key: item.get(key, "TCP" if key == "protocol" else None) for key in keys}
    return "k:" + json.dumps(message, sort_keys=True, separators=(",", ":"))


def put(document: dict[str, Any], path: Path, value: Any) -> None:
    """Set one leaf, making what leads to it."""
    here: Any = document
    for target, segment in enumerate(path):
        last = target == len(path) - 1
        if segment == ".":
            return
        if segment.startswith("k:"):
            here = _enter(here, json.loads(segment[2:]))
        elif last:
            here[segment[2:]] = value
        else:
            inner = [] if path[target + 1].startswith("k:") else {}
            held = here.get(segment[2:])
            if not isinstance(held, type(inner)):
                here[segment[2:]] = held = inner
            here = held


def _enter(items: list[Any], keys: dict[str, Any]) -> dict[str, Any]:
    for item in items:
        if all(item.get(k, "TCP" if k == "protocol" else None) == v for k, v in keys.items()):
            return item
    made: dict[str, Any] = dict(keys)
    items.append(made)
    return made


def drop(document: dict[str, Any], path: Path) -> None:
    """Remove one leaf, and what is empty without it."""
    trail: list[tuple[Any, Any]] = []
    here: Any = document
    for segment in path:
        if segment == ".":
            trail and trail[-1][0].remove(here) if here in trail[-1][0] else None
            return
        if segment.startswith("k:"):
            keys = json.loads(segment[2:])
            match = [
                i
                for i in here
                if all(i.get(k, "TCP" if k == "protocol" else None) == v for k, v in keys.items())
            ]
            if not match:
                return
            trail.append((here, None))
            here = match[0]
        else:
            if not isinstance(here, dict) or segment[2:] not in here:
                return
            trail.append((here, segment[2:]))
            here = here[segment[2:]]
    holder, key = trail[-1]
    if isinstance(holder, dict):
        holder.pop(key, None)
    for holder, key in reversed(trail[1:-1] if len(trail) > 1 else []):
        if isinstance(holder, dict) and holder.get(key) in ({}, []):
            holder.pop(key)


def tree(paths: Iterable[Path]) -> dict[str, Any]:
    """Paths as `fieldsV1` writes them."""
    root: dict[str, Any] = {}
    for path in sorted(paths):
        here = root
        for segment in path:
            here = here.setdefault(segment, {})
    return root


def paths(node: dict[str, Any], before: Path = ()) -> set[Path]:
    """What `tree` was made from."""
    if not node:
        return {before} if before else set()
    return {path for segment, inner in node.items() for path in paths(inner, (*before, segment))}
