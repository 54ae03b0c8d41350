"""DAGs and figures for programs, as people see them."""

import pytest

from deployments.dataplane.reading import QueueReading
from deployments.tests.readings import a_dag, a_reading, all_sorts, remember
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db(transaction=True)


def test_dags_come_by_pages_with_their_last_runs(program, alice, deployment):
    asks, where = program(alice, Role.MEMBER), f"/deployments/{deployment.release_name}/dags"
    assert asks.get(where) == {"read_at": None, "items": [], "next": None}
    remember(deployment, all_sorts())
    found = asks.get(where)
    assert found["read_at"]
    assert [dag["dag_id"] for dag in found["items"]][:2] == ["by_hand", "every_hour"]
    nightly = next(dag for dag in found["items"] if dag["dag_id"] == "nightly_load")
    assert nightly["name"] == "Nightly load of the warehouse"
    assert len(nightly["runs"]) == 14
    assert (nightly["runs"][-1]["state"], nightly["runs"][-1]["seconds"]) == ("failed", 90.0)
    first = asks.get(f"{where}?limit=3")
    rest = asks.get(f"{where}?limit=3&cursor={first['next']}")
    assert [*first["items"], *rest["items"]] == found["items"]
    assert rest["next"] is None
    assert [dag["dag_id"] for dag in asks.get(f"{where}?state=paused")["items"]] == ["resting"]
    assert [dag["dag_id"] for dag in asks.get(f"{where}?q=WAREHOUSE")["items"]] == ["nightly_load"]
    asks.get(f"{where}?state=odd", status=422)


def test_figures_are_those_of_the_last_reading_and_of_a_span(program, alice, deployment):
    asks, where = program(alice, Role.MEMBER), f"/deployments/{deployment.release_name}/figures"
    before = asks.get(where)
    assert (before["read_at"], before["now"], len(before["buckets"])) == (None, None, 24)
    queues = (QueueReading("default", 2, 1, 75.0),)
    remember(deployment, a_reading(a_dag(paused=True), queues=queues))
    found = asks.get(f"{where}?span=30d")
    assert (found["span"], found["bucket_seconds"], len(found["buckets"])) == ("30d", 8 * 3600, 90)
    assert found["now"]["queues"] == [{"name": "default", "queued": 2, "running": 1, "oldest_seconds": 75.0}]
    assert (found["now"]["dags"], found["now"]["dags_paused"], found["now"]["memory_mib"]) == (1, 1, 700)
    assert found["buckets"][-1]["queued"] == 2
    assert found["buckets"][0]["queued"] is None
    asks.get(f"{where}?span=2y", status=422)
