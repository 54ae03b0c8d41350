"""After something failed, from a terminal: another try, and the notice of a failed upgrade."""

import pytest

from deployments.models import Deployment
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]


def test_what_failed_is_tried_again_and_a_failed_upgrade_is_dismissed(airdeck, deployment, driver):
    name = deployment.release_name
    tried = airdeck("deployment", "retry", "Analytics").out
    assert tried.startswith("Airdeck tries again now to finish what Analytics was asked for.\n")
    assert f"airdeck wait {name}.create.1" in tried
    settle(deployment)
    again = airdeck("deployment", "retry", name, "--wait").out
    assert again.startswith("Analytics is healthy, and nothing of it is under way.\n")
    assert "shows no failed upgrade" in airdeck("deployment", "dismiss-upgrade", "Analytics").out
    Deployment.objects.filter(pk=deployment.pk).update(upgrade_error="Upgrade to 3.3-1 failed: no disk.")
    dismissed = airdeck("deployment", "dismiss-upgrade", "Analytics", "-o", "json").json
    assert (dismissed["deployment"]["upgrade_error"], dismissed["operation"]) == ("", None)
