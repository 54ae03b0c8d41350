"""The tab says what the badges say."""

from datetime import timedelta

import pytest
from django.utils import timezone

from deployments.domain.states import Status
from deployments.models import Cluster, Deployment
from deployments.presenters.tab import needs_attention, of_deployment, of_list


def row(status: Status, *, silent_for: float = 0, **more: object) -> Deployment:
    now = timezone.now()
    heard = now - timedelta(seconds=silent_for) if silent_for else None
    silent = "It does not answer." if heard else ""
    cluster = Cluster(name="This machine", last_seen_at=heard or now, unreachable_reason=silent)
    made = Deployment(status=status, observed_at=now, due_at=now, cluster=cluster)
    for name, value in more.items():
        setattr(made, name, value)
    return made


class Stalled:
    stalled = True


@pytest.mark.parametrize(
    ("status", "more", "before", "mark", "needs"),
    [
        (Status.HEALTHY, {}, "", "ok", False),
        (Status.CREATING, {}, "Creating: ", "busy", False),
        (Status.DEPLOYING, {"phase": "Waking up"}, "Waking up: ", "busy", False),
        (Status.DEPLOYING, {"failing": True}, "Failing: ", "bad", True),
        (Status.CREATING, {"step_progress": Stalled()}, "Stalled: ", "warn", True),
        (Status.UNHEALTHY, {}, "Unhealthy: ", "bad", True),
        (Status.HIBERNATING, {}, "Hibernating: ", "sleep", False),
        (Status.UNKNOWN, {}, "Unknown: ", "off", True),
        (Status.DELETING, {}, "Deleting: ", "off", False),
        (Status.HEALTHY, {"silent_for": 80}, "", "warn", True),
    ],
)
def test_the_tab_of_a_deployment(status, more, before, mark, needs):
    made = row(status, **more)
    tab = of_deployment(made)
    assert (tab.before, tab.mark, needs_attention(made)) == (before, mark, needs)


def test_the_tab_of_a_list_counts_those_on_other_pages_too():
    rows = [row(Status.HEALTHY), row(Status.UNHEALTHY), row(Status.CREATING, step_progress=Stalled())]
    tab = of_list(rows, {Status.UNHEALTHY: 3, Status.UNKNOWN: 1, Status.HEALTHY: 40})
    assert (tab.before, tab.mark, tab.elsewhere) == ("(5) ", "bad", 3)


def test_a_list_in_which_all_is_well_has_the_plain_icon():
    assert of_list([row(Status.HEALTHY)], {Status.HEALTHY: 1}).mark == ""
    assert of_list([row(Status.HEALTHY)], {Status.HEALTHY: 1}).before == ""
    only_stalled = of_list([row(Status.CREATING, step_progress=Stalled())], {Status.CREATING: 1})
    assert (only_stalled.before, only_stalled.mark) == ("(1) ", "warn")
