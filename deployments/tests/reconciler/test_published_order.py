"""Two processes that publish the same row: what arrives last on open pages is what is so."""

import pytest
from django.db.models.functions import Now

from deployments.domain.states import Status
from deployments.models import Deployment
from deployments.reconciler import recording

pytestmark = pytest.mark.django_db


@pytest.fixture
def overtaken(deployment, monkeypatch):
    """What arrives, in this order. While the first frames are on their way, another process changes the row and
    its frames arrive before them; to these the same happens."""
    arrived, changes = [], [Status.UNHEALTHY, Status.DEPLOYING]

    def publish(topic, frames):
        if changes:
            Deployment.objects.filter(pk=deployment.pk).update(status=changes.pop(), changed_at=Now())
            recording.publish(deployment.pk)
        arrived.append((topic, [frame.html for frame in frames if frame.event == f"badge-{deployment.pk}"]))
        return True

    Deployment.objects.update(status=Status.HEALTHY, observed_at=Now(), first_healthy_at=Now())
    monkeypatch.setattr("console.kit.events.publish", publish)
    return arrived


def test_a_frame_that_was_overtaken_is_followed_by_what_is_so(deployment, overtaken):
    recording.publish(deployment.pk)
    assert len(overtaken) > 2
    assert "Unhealthy</span>" in overtaken[-1][1][0]


def test_so_is_a_badge_of_a_cluster_that_fell_silent(deployment, overtaken):
    recording.publish_badges(deployment.cluster_id)
    assert "Unhealthy</span>" in overtaken[-1][1][0]


def test_what_no_one_changed_is_published_once_and_looked_at_once_more(
    deployment, published, django_assert_num_queries
):
    with django_assert_num_queries(4):
        recording.publish(deployment.pk)
    assert len(published) == 1


def test_a_row_that_changes_all_the_time_is_not_published_for_ever(deployment, monkeypatch):
    rounds = []

    def publish(topic, frames):
        Deployment.objects.filter(pk=deployment.pk).update(changed_at=Now())
        rounds.append(topic)
        return True

    monkeypatch.setattr("console.kit.events.publish", publish)
    recording.publish(deployment.pk)
    assert len(rounds) == recording.MOST_ROUNDS


def test_what_was_dropped_is_not_looked_at_again(deployment, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr("console.kit.events.publish", lambda topic, frames: list(frames) and False)
    with django_assert_num_queries(3):
        recording.publish(deployment.pk)
