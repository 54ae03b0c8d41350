"""The tab says what the badges say."""

from datetime import timedelta

import pytest
from django.utils import timezone

from deployments.domain.states import Status
from deployments.models import Cluster, Deployment
from deployments.presenters.tab import needs_attention, of_deployment, of_list


def row(status: Status, **more: object) -> Deployment:
    now = timezone.now()
    heard = more.pop("heard", None)
    silent = "It does not answer." if heard else ""
    cluster = Cluster(name="This machine", last_seen_at=heard or now, unreachable_reason=silent)
    made = Deployment(status=status, observed_at=now, due_at=now, cluster=cluster)
    for name, value in more.items():
        setattr(made, name, value)
    return made


class Stalled:
    stalled = True


@pytest.mark.parametrize(
    ("made", "before", "mark", "needs"),
    [
        (row(Status.HEALTHY), "", "ok", False),
        (row(Status.CREATING), "Creating: ", "busy", False),
        (row(Status.DEPLOYING, phase="Waking up"), "Waking up: ", "busy", False),
        (row(Status.DEPLOYING, failing=True), "Failing: ", "bad", True),
        (row(Status.CREATING, step_progress=Stalled()), "Stalled: ", "warn", True),
        (row(Status.UNHEALTHY), "Unhealthy: ", "bad", True),
        (row(Status.HIBERNATING), "Hibernating: ", "sleep", False),
        (row(Status.UNKNOWN), "Unknown: ", "off", True),
        (row(Status.DELETING), "Deleting: ", "off", False),
        (row(Status.HEALTHY, heard=timezone.now() - timedelta(seconds=80)), "", "warn", True),
    ],
    ids=lambda each: each.status if isinstance(each, Deployment) else None,
)
def test_the_tab_of_a_deployment(made, before, mark, needs):
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
