"""The list costs the same number of queries at any size, and counts without asking twice."""

from datetime import timedelta
from itertools import product

import pytest
from django.urls import reverse
from django.utils import timezone

from deployments.actions import create_deployment
from deployments.domain.states import Executor, Status
from deployments.models import Cluster, Deployment
from deployments.models.deployment import UNKNOWN_AFTER
from deployments.queries.listing import listing

MOST = 12  # of the whole page, session, user and shell included


@pytest.fixture
def three(workspace, alice, choices) -> list[Deployment]:
    """Alpha, Beta and Gamma; Gamma is Healthy, Beta runs under the Local executor."""
    made = [
        create_deployment(
            workspace=workspace,
            by=alice,
            idempotency_key=f"00000000-0000-4000-8000-00000000000{number}",
            choices=choices(
                name, executor=executor, **({} if executor is Executor.CELERY else {"queue": None})
            ),
        )
        for number, (name, executor) in enumerate(
            [("Alpha", Executor.CELERY), ("Beta", Executor.LOCAL), ("Gamma", Executor.CELERY)]
        )
    ]
    Deployment.objects.filter(pk=made[2].pk).update(status=Status.HEALTHY)
    return made


@pytest.mark.parametrize("query", ["", "?executor=celery&status=creating&q=a", "?sort=-cluster&per_page=25"])
def test_the_page_costs_the_same_queries_at_any_size(
    as_, alice, workspace, three, choices, query, django_assert_max_num_queries
) -> None:
    client, url = as_(alice), reverse("deployments:list", args=[workspace.pk]) + query
    client.get(url)
    with django_assert_max_num_queries(MOST) as few:
        client.get(url)
    for number in range(20):
        create_deployment(
            workspace=workspace,
            by=alice,
            idempotency_key=f"10000000-0000-4000-8000-0000000000{number:02}",
            choices=choices(f"Another {number}"),
        )
    with django_assert_max_num_queries(MOST) as many:
        page = client.get(url)
    assert len(few) == len(many)
    assert b"Another 19" in page.content


def test_the_filter_goes_by_the_word_on_the_badge(rf, workspace, three) -> None:
    """Nothing was heard of Gamma for three minutes: it is Unknown, whatever was recorded last."""
    long_ago = timezone.now() - timedelta(minutes=3)
    Deployment.objects.filter(name="Gamma").update(observed_at=long_ago)
    unknown = listing(workspace, {"status": "unknown"}, rf.get("/").GET)
    assert [row.name for row in unknown.page] == ["Gamma"]
    assert unknown.counts == {"creating": 2, "unknown": 1}
    assert not listing(workspace, {"status": "healthy"}, rf.get("/").GET).page.paginator.count


@pytest.mark.parametrize("status", [Status.HEALTHY, Status.CREATING, Status.DELETING])
def test_the_database_and_the_badge_agree_on_every_status(three, status) -> None:
    now = timezone.now()
    ago = {
        "never": None,
        "just now": now,
        "still": now - 0.9 * UNKNOWN_AFTER,
        "long ago": now - 1.1 * UNKNOWN_AFTER,
    }
    row = Deployment.objects.filter(pk=three[0].pk)
    seen = set()
    for observed, watched, due in product(("still", "long ago"), ago, ("just now", "long ago")):
        Cluster.objects.update(last_seen_at=ago[watched])
        row.update(status=status, observed_at=ago[observed], due_at=ago[due])
        found = row.annotate(shown=Deployment.shown_status_in_sql()).select_related("cluster").get()
        assert found.shown == found.shown_status, (observed, watched, due)
        seen.add(found.shown)
    assert seen == ({status} if status is Status.DELETING else {status, Status.UNKNOWN})


@pytest.mark.parametrize(
    ("filters", "names", "counts", "total"),
    [
        ({}, ["Alpha", "Beta", "Gamma"], {"creating": 2, "healthy": 1}, 3),
        ({"status": "healthy"}, ["Gamma"], {"creating": 2, "healthy": 1}, 3),
        ({"status": "unhealthy"}, [], {"creating": 2, "healthy": 1}, 3),
        ({"executor": "celery"}, ["Alpha", "Gamma"], {"creating": 1, "healthy": 1}, 3),
        ({"executor": "local", "status": "healthy"}, [], {"creating": 1}, 3),
        ({"q": "nothing-like-this"}, [], {}, 3),
    ],
)
def test_counts_agree_with_the_rows(rf, workspace, three, filters, names, counts, total) -> None:
    found = listing(workspace, filters, rf.get("/").GET)
    assert [row.name for row in found.page] == names
    assert found.page.paginator.count == len(names)
    assert (found.counts, found.total) == (counts, total)
