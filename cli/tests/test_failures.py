"""After something failed, from a terminal: another try, and the notice of a failed upgrade."""

import time

import pytest

from deployments.models import Deployment
from workspaces.models import AuditEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]


def test_what_failed_is_tried_again_and_a_failed_upgrade_is_dismissed(
    airdeck, deployment, driver, reconciled
):
    name, driver.slow_start = deployment.release_name, 10_000
    tried = airdeck("deployment", "retry", "Analytics").out
    assert tried.startswith("Airdeck tries again now to finish what Analytics was asked for.\n")
    assert f"airdeck wait {name}.create.1" in tried
    followed = airdeck.start("deployment", "retry", name, "--wait")
    deadline = time.monotonic() + 60
    while AuditEvent.objects.filter(verb="retried").count() < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    driver.slow_start = 0
    out, err = followed.communicate(timeout=60)
    assert "✓ Airflow components" in err
    assert out.startswith("What Analytics was asked for is done.\n")
    again = airdeck("deployment", "retry", name, "--wait").out
    assert again.startswith("Analytics is healthy. Nothing is under way.\n")
    assert "shows no failed upgrade" in airdeck("deployment", "dismiss-upgrade", "Analytics").out
    Deployment.objects.filter(pk=deployment.pk).update(upgrade_error="Upgrade to 3.3-1 failed: no disk.")
    dismissed = airdeck("deployment", "dismiss-upgrade", "Analytics", "-o", "json").json
    assert (dismissed["deployment"]["upgrade_error"], dismissed["operation"]) == ("", None)
