"""What is drift and what is not, from the owners of fields that the API server writes down."""

import json
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise

import pytest

from deployments.dataplane.kubernetes.objects import drift
from deployments.dataplane.kubernetes.objects.drift import Drift, judge, seen
from deployments.dataplane.kubernetes.watch import kinds
from deployments.dataplane.kubernetes.watch.drift_detector import DriftDetector

EARLY, LATER = "2026-11-22T10:00:00Z", "2026-11-22T10:05:00Z"


def manager(name: str, fields: dict, operation: str = "Apply", time: str = EARLY, sub: str = "") -> dict:
    found = {
        "manager": name,
        "operation": operation,
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    return {**found, **({"subresource": sub} if sub else {})}


OURS = {"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {}}}}
LESS = {"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:replicas": {}}}
TEMPLATE = {"f:spec": {"f:template": {"f:spec": {}}}}
REPLICAS = {"f:spec": {"f:replicas": {}}}
WITHOUT_REPLICAS = {**OURS, "f:spec": {"f:template": {"f:spec": {}}}}
EDITED = manager("kubectl-edit", TEMPLATE, "Update", LATER)


def scheduler(*managers: dict, uid: str = "u1") -> dict:
    meta = {"name": "scheduler", "uid": uid, "managedFields": list(managers)}
    return {"kind": "Deployment", "metadata": meta}


APPLIED = scheduler(manager("airdeck", OURS))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (scheduler(manager("airdeck", OURS)), None),
        (scheduler(manager("airdeck", LESS), EDITED), Drift("Deployment", "scheduler", "kubectl-edit")),
        (
            scheduler(manager("airdeck", LESS)),
            Drift("Deployment", "scheduler"),
        ),  # a removed field has no owner
        (scheduler(EDITED), Drift("Deployment", "scheduler", "kubectl-edit")),  # nothing is ours any more
        (scheduler(), Drift("Deployment", "scheduler")),
        (None, Drift("Deployment", "scheduler", removed=True)),
        (scheduler(manager("airdeck", OURS), uid="u2"), Drift("Deployment", "scheduler")),  # made anew
        # A stranger's own fields, the status, and a controller's annotations are nobody's business.
        (scheduler(manager("airdeck", OURS), manager("mesh", {"f:metadata": {}}, "Update", LATER)), None),
        (
            scheduler(manager("airdeck", OURS), manager("x", {"f:status": {}}, "Update", LATER, "status")),
            None,
        ),
        # Replicas may go to whoever scales, and to nobody else.
        (
            scheduler(
                manager("airdeck", WITHOUT_REPLICAS), manager("airdeck-scaler", REPLICAS, "Update", LATER)
            ),
            None,
        ),
        (
            scheduler(
                manager("airdeck", WITHOUT_REPLICAS), manager("keda", REPLICAS, "Update", LATER, "scale")
            ),
            None,
        ),
        (
            scheduler(
                manager("airdeck", WITHOUT_REPLICAS),
                manager("kube-controller-manager", REPLICAS, "Update", LATER, "scale"),
            ),
            None,
        ),
        (
            scheduler(
                manager("airdeck", WITHOUT_REPLICAS), manager("kubectl", REPLICAS, "Update", LATER, "scale")
            ),
            Drift("Deployment", "scheduler", "kubectl"),
        ),
        # An apply of ours that the inventory does not know yet: its end will write it down.
        (scheduler(manager("airdeck", LESS, time=LATER)), None),
        (scheduler(manager("airdeck", OURS, time=LATER), uid="u2"), None),
    ],
)
def test_an_object_is_judged_by_who_owns_its_fields(found, expected):
    assert judge(drift.entry(APPLIED), seen(found) if found else None) == expected


def test_what_was_put_back_is_remembered_as_it_then_is_so_that_no_repair_repeats_itself():
    """Somebody else's value equals ours, so both own it: that is how it is, and no reason to apply again."""
    shared = scheduler(manager("airdeck", WITHOUT_REPLICAS), manager("kubectl", REPLICAS, "Update", LATER))
    assert judge(drift.entry(APPLIED), seen(shared)) is not None
    assert judge(drift.entry(shared), seen(shared)) is None


def test_a_mark_holds_no_value():
    secret = deepcopy(APPLIED)
    secret["data"] = {"token": "canary"}
    assert drift.ownership_digest(secret) == drift.ownership_digest(APPLIED)


def test_the_inventory_reads_what_it_wrote_and_survives_nonsense():
    entries = (drift.entry(APPLIED),)
    assert drift.load(drift.dump(entries)) == entries
    found = (Drift("Secret", "airflow-keys", "kubectl"), Drift("Deployment", "worker", removed=True))
    assert set(drift.read_annotation(drift.annotation(found))) == set(found)
    for text in (None, "", "no json", "[]", "{}", "[1]", '[{"other": 1}]', "null"):
        assert drift.load(text) == ()
        assert drift.read_annotation(text) == ()


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            Drift("Deployment", "scheduler", "kubectl-edit"),
            "Deployment scheduler was changed by kubectl-edit; it was put back.",
        ),
        (Drift("Secret", "x"), "Secret x was changed by another program; it was put back."),
        (Drift("Secret", "x", removed=True), "Secret x was removed; it was made again."),
        (Drift("Secret", "x", "\x1b[31mevil\n\u202e"), "Secret x was changed by evil; it was put back."),
    ],
)
def test_a_repair_is_told_in_one_sentence(found, sentence):
    assert found.sentence == sentence


class Feed:
    """What `DriftDetector` needs of a feed."""

    kind = kinds.WatchedKind("Deployment", "apps/v1")

    def __init__(self, objects: dict) -> None:
        self.objects, self.live = objects, True


class Held:
    def __init__(self, owner: str = "d1", **values: object) -> None:
        self.owner = owner
        self.__dict__.update(values)


class Inventory:
    namespace, version, ending = "n", "7", False

    def __init__(self, annotation: str = "") -> None:
        self.entries, self.annotation = (drift.entry(APPLIED),), annotation


class Api:
    """What the API server itself says, and what is written there."""

    def __init__(self) -> None:
        self.written: list[dict] = []
        self.asked: list[str] = []
        self.there: dict | None = scheduler(manager("airdeck", LESS), EDITED)

    def get(self, path, what, accept):
        self.asked.append(path)
        return self.there

    def merge(self, path, change, what, manager):
        self.written.append(change["metadata"])


@pytest.fixture
def court():
    """A judge over one drifted object, its feed, its inventory and what it writes."""
    api = Api()
    objects = Feed({("n", "scheduler"): Held(seen=seen(scheduler(manager("airdeck", LESS), EDITED)))})
    inventories = Feed({("n", "airdeck-inventory"): Held(inventory=Inventory())})
    judge_ = DriftDetector({"Deployment": objects}, inventories, lambda: api, lambda: True)
    judge_.mark_dirty("d1")
    return judge_, objects, inventories, api


def test_a_drift_counts_once_it_has_lasted_and_is_written_with_the_version_that_is_known(court):
    judge_, _, _, api = court
    judge_.look(0.0)
    judge_.look(2.9)
    assert api.written == []
    judge_.look(3.1)
    (written,) = api.written
    assert written["resourceVersion"] == "7"
    reported = json.loads(written["annotations"][drift.ANNOTATION])
    assert reported == [
        {"kind": "Deployment", "name": "scheduler", "manager": "kubectl-edit", "removed": False}
    ]


def test_what_goes_away_by_itself_is_no_drift(court):
    judge_, objects, _, api = court
    judge_.look(0.0)
    objects.objects["n", "scheduler"] = Held(seen=seen(APPLIED))
    judge_.look(4.0)
    assert api.written == []


def test_a_dead_cache_accuses_nobody(court):
    judge_, objects, inventories, api = court
    objects.objects, objects.live = {}, False
    for at in (0.0, 10.0, 70.0):
        judge_.look(at)
    assert api.written == []
    objects.live, inventories.live = True, False
    for at in (80.0, 90.0):
        judge_.look(at)
    assert api.written == []
    inventories.live = True
    for at in (100.0, 104.0):
        judge_.look(at)
    assert len(api.written) == 1


def test_a_cache_that_is_behind_accuses_nobody(court):
    """While a feed lists, what was made since is missing in it: the API server is asked before anybody is told."""
    judge_, objects, _, api = court
    objects.objects, api.there = {}, APPLIED
    for at in (0.0, 4.0, 8.0):
        judge_.look(at)
    assert api.written == []
    assert api.asked == ["/apis/apps/v1/namespaces/n/deployments/scheduler"]
    api.there = None
    judge_.mark_dirty("d1")
    for at in (20.0, 24.0):
        judge_.look(at)
    (written,) = api.written
    assert json.loads(written["annotations"][drift.ANNOTATION])[0]["removed"]


def test_two_controllers_at_war_are_told_of_less_and_less_often(court):
    judge_, _, _, api = court
    reported = []
    for second in range(0, 400):
        judge_.mark_dirty("d1")
        before = len(api.written)
        judge_.look(float(second))
        if len(api.written) > before:
            reported.append(second)
    gaps = [later - before for before, later in pairwise(reported)]
    assert reported[0] <= 4
    assert len(reported) <= 5
    assert gaps == sorted(gaps)


def look_again(court, *owners: str) -> None:
    """As a leader that remembers nothing, until a drift has lasted."""
    _, objects, inventories, api = court
    leader = DriftDetector({"Deployment": objects}, inventories, lambda: api, lambda: True)
    for owner in owners:
        leader.mark_dirty(owner)
    for now in (0.0, 3.1):
        leader.look(now)


def test_a_new_leader_goes_on_from_what_the_one_before_has_written(court):
    _, _, inventories, api = court
    two = Inventory(drift.annotation([Drift("Deployment", "gone", removed=True)]))
    two.entries = (replace(two.entries[0], name="gone"), *two.entries)
    inventories.objects["n", "airdeck-inventory"] = Held(inventory=two)
    other = Inventory()
    other.namespace = "m"
    inventories.objects["m", "airdeck-inventory"] = Held("d2", inventory=other)
    look_again(court, "d1", "d2")
    assert len(api.written) == 2


def test_one_deployment_that_cannot_be_judged_keeps_no_other_from_it(court):
    _, _, inventories, api = court
    broken = Inventory()
    broken.entries = None  # type: ignore[assignment]
    inventories.objects = {("b", "airdeck-inventory"): Held("d0", inventory=broken), **inventories.objects}
    look_again(court, "d0", "d1")
    assert len(api.written) == 1


def test_a_namespace_on_its_way_out_has_no_drift(court):
    judge_, objects, inventories, api = court
    objects.objects = {}
    inventories.objects["n", "airdeck-inventory"].inventory.ending = True
    for at in (0.0, 10.0):
        judge_.look(at)
    assert api.written == []
