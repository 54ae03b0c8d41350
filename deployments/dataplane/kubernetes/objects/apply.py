"""Bringing the objects of one Deployment in line with what was rendered: what changed is applied, what is no longer
needed is pruned, what another person changed is put back. Nothing that is as it should be costs a request."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from console.kit.wording import counted
from deployments.dataplane.contract import UNDER_WAY, Ref
from deployments.dataplane.kubernetes import names
from deployments.dataplane.kubernetes.api.client import CLUSTER_KINDS, FIELD_MANAGER, Api, path_of
from deployments.dataplane.kubernetes.api.errors import ApiRefused
from deployments.dataplane.kubernetes.api.transport import Json
from deployments.dataplane.kubernetes.objects import drift
from deployments.dataplane.kubernetes.objects import inventory as inv
from deployments.dataplane.kubernetes.objects.inventory import Id, Inventory

ENOUGH_SECONDS = 3.0  # of the call's budget, for one object and for writing down how far it came
# Never pruned. A Secret of keys that is gone makes every stored connection of the Airflow unreadable.
KEPT_KINDS = frozenset(("Namespace", "PersistentVolumeClaim"))
# All others are in wave 1: accounts, rights, network policies, quotas, Secrets, ConfigMaps, volumes.
WAVES = {
    "Namespace": 0,
    **dict.fromkeys(("Service", "Deployment", "StatefulSet", "Job", "CronJob", "PodDisruptionBudget"), 2),
    **dict.fromkeys(("Ingress", "ScaledObject"), 3),
}
PRUNED_SECRETS = frozenset((names.VARIABLES, names.REDIS_CONFIG, names.REGISTRY, names.OWN_REGISTRY))


@dataclass(frozen=True)
class Applied:
    """How far it came. `sentence` is empty when there was nothing to do."""

    inventory: Inventory
    complete: bool
    sentence: str = ""
    notices: tuple[str, ...] = ()


def prunable(one: Id) -> bool:
    """What goes once nothing asks for it."""
    _, kind, name = one
    return kind not in KEPT_KINDS and (kind != "Secret" or name in PRUNED_SECRETS)


def converge(
    api: Api,
    ref: Ref,
    namespace: str,
    manifests: Iterable[Json],
    *,
    known: Inventory,
    key: str,
    digest: str,
    prune: Callable[[Id], bool] = prunable,
) -> Applied:
    """Apply what differs from `known` in the order given, then prune those of the others for which `prune` holds.

    Killed at any instant it can be called again: what is about to be made is written down before. `key` keys the marks.
    """
    desired = {inv.identity(manifest): manifest for manifest in manifests}
    marks = {one: inv.manifest_digest(manifest, key) for one, manifest in desired.items()}
    drifted = {(found.kind, found.name) for found in known.drifts}
    todo = [one for one in desired if _differs(one, marks[one], known, drifted)]
    surplus = [one for one in known.rendered if one not in desired and prune(one)]
    if not todo and not surplus and not known.drifts and known.applied == digest:
        return Applied(known, complete=True)
    intent = {**known.rendered, **{one: known.rendered.get(one, "") for one in todo}}
    leaving = bool(todo or surplus) and known.digest not in ("", digest)
    noted = replace(known, rendered=intent, digest=UNDER_WAY if leaving else known.digest)
    if noted != known:
        known = inv.write(api, ref, namespace, noted)
    done, number = known, 0
    for wave in _waves(todo):
        sends = {one: partial(api.apply, _path(one, namespace), desired[one]) for one in wave}
        sent = api.lanes.each(sends, left=lambda: api.left - ENOUGH_SECONDS)
        entries = {**done.entries, **{one[1:]: drift.entry(answer) for one, answer in sent.items()}}
        done = replace(done, rendered={**done.rendered, **{one: marks[one] for one in sent}}, entries=entries)
        number += len(sent)
        if len(sent) < len(wave):
            inv.write(api, ref, namespace, done)
            return Applied(done, complete=False, sentence=f"Applied {number} of {len(todo)} objects.")
    for one in surplus:
        if api.left < ENOUGH_SECONDS:
            inv.write(api, ref, namespace, done)
            return Applied(done, complete=False, sentence="Removing what is no longer needed.")
        _prune(api, ref, namespace, one, done)
        done = done.without(one)
    return _finish(api, ref, namespace, replace(done, applied=digest), _summary(len(todo), len(surplus)))


def noted(known: Inventory, manifest: Json, answer: Json, key: str) -> Inventory:
    """What is applied once that manifest was, with the API server's answer to it: it is not sent a second time."""
    one = inv.identity(manifest)
    return replace(
        known,
        rendered={**known.rendered, one: inv.manifest_digest(manifest, key)},
        entries={**known.entries, one[1:]: drift.entry(answer)},
    )


def _waves(todo: list[Id]) -> list[list[Id]]:
    """What is to be sent, in order; the objects of one wave do not wait for each other. What a pod reads or is fenced
    by comes before it, and so it starts once."""
    waves: dict[int, list[Id]] = {}
    for one in todo:
        waves.setdefault(WAVES.get(one[1], 1), []).append(one)
    return [waves[number] for number in sorted(waves)]


def _finish(api: Api, ref: Ref, namespace: str, done: Inventory, message: str) -> Applied:
    repaired = done.drifts
    kept = inv.write(api, ref, namespace, done)
    if repaired and kept.annotation == done.annotation:
        try:
            inv.clear_drift(api, namespace, kept)
        except ApiRefused as error:
            if error.status != 409:  # the watcher saw more in the meantime: the next pass puts that right
                raise
        kept = replace(kept, drifts=(), annotation="")
    return Applied(kept, complete=True, sentence=message, notices=tuple(found.sentence for found in repaired))


def _differs(one: Id, manifest_digest: str, known: Inventory, drifted: set[tuple[str, str]]) -> bool:
    return known.rendered.get(one) != manifest_digest or one[1:] in drifted or one[1:] not in known.entries


def _prune(api: Api, ref: Ref, namespace: str, one: Id, known: Inventory) -> None:
    """Delete the object if it is the one that we applied. One that was about to be made when we were killed has no
    uid on record: it is ours if it bears our label and we applied it."""
    what, target = f"{one[1]} {one[2]}", _path(one, namespace)
    if entry := known.entries.get(one[1:]):
        api.delete(target, what, entry.uid)
        return
    found = api.get(target, what)
    meta = (found or {}).get("metadata") or {}
    managers = {str(m.get("manager")) for m in meta.get("managedFields") or ()}
    ours = (meta.get("labels") or {}).get(names.LABEL_DEPLOYMENT) == ref.deployment_id
    if found and ours and FIELD_MANAGER in managers:
        api.delete(target, what, str(meta["uid"]))


def _path(one: Id, namespace: str) -> str:
    api_version, kind, name = one
    return path_of(api_version, kind, "" if kind in CLUSTER_KINDS else namespace, name)


def _summary(applied: int, pruned: int) -> str:
    parts = [f"applied {counted(applied, 'object')}"] if applied else []
    parts += [f"removed {pruned} that {'is' if pruned == 1 else 'are'} no longer needed"] if pruned else []
    text = " and ".join(parts) or "wrote down what was applied"
    return f"{text[0].upper()}{text[1:]}."
