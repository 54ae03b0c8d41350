"""A page that was drawn at one stage of its Deployment is whole again at the next one: what may be done is in the part
that asks for itself, and a page that has a fragment of its own answers that question with more than the fragment."""

import pytest
from django.urls import reverse
from django.utils import timezone

from console.tests.html_rules import words_in
from deployments.domain.states import Status
from deployments.models import Deployment

pytestmark = pytest.mark.django_db
OFFERED = {
    "deploys": "Deploy code",
    "variables": "Add variable",
    "settings": "Hibernating frees everything except the database.",
    "queues": "Edit",
}


@pytest.fixture
def page(as_, bob, deployment):
    """The HTML of one of its pages, as an Editor has it, or as htmx asks for one element of it again."""

    def get(name: str, target: str = "") -> str:
        headers = {"HX-Request": "true", "HX-Target": target} if target else {}
        answer = as_(bob).get(reverse(f"deployments:{name}", args=[deployment.release_name]), headers=headers)
        assert answer.status_code == 200
        return answer.content.decode()

    return get


def become_healthy(deployment: Deployment) -> None:
    now = timezone.now()
    Deployment.objects.filter(pk=deployment.pk).update(
        status=Status.HEALTHY, status_since=now, observed_at=now, first_healthy_at=now
    )


@pytest.mark.parametrize("name", OFFERED)
def test_what_may_be_done_at_the_next_stage_is_in_the_part_that_asks_for_itself(deployment, page, name):
    assert OFFERED[name] not in words_in(page(name), "data-stage")
    become_healthy(deployment)
    assert OFFERED[name] in words_in(page(name), "data-stage")
    assert OFFERED[name] in words_in(page(name, target="page"), "data-stage")


@pytest.mark.parametrize("name", ["dags", "task_logs", "logs", "alerts", "deployment_activity"])
def test_the_head_of_every_page_can_be_asked_for_again(deployment, page, name):
    become_healthy(deployment)
    assert "Hibernate…" in words_in(page(name, target="head"), "id", "head")
