"""What a page says of a Deployment while a step of it is refused, or what it asks for cannot be asked."""

from datetime import timedelta

import psycopg
import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from console.embedded import postgres
from console.tests.services import STATE
from deployments import actions
from deployments.dataplane.contract import DataPlaneUnreachable
from deployments.domain.deploy_states import DeployStatus
from deployments.domain.states import Status
from deployments.models import Deploy, Deployment
from deployments.reconciler import reconcile as reconciling
from deployments.reconciler.deploy_rows import ref_of
from deployments.reconciler.reconcile import reconcile
from deployments.tests.reconciler.test_deploys import deployed
from deployments.tests.reconciler.test_images import asked
from deployments.tests.reconciler.test_reconcile import settle

pytestmark = pytest.mark.django_db(transaction=True)

POLICY = "A policy of the cluster refused Deployment scheduler: no."
AWAY = "The database server does not answer: no route to host. Is it running, and is the URL right?"


def one_pass(deployment: Deployment) -> Deployment:
    Deployment.objects.filter(pk=deployment.pk).update(due_at=timezone.now() - timedelta(seconds=1))
    reconcile(deployment.pk)
    deployment.refresh_from_db()
    return deployment


def refuse_a_change(deployment, driver, alice) -> None:
    settle(deployment)
    with actions.changing(deployment, by=alice) as row:
        Deployment.objects.filter(pk=row.pk).update(scheduler_au=9)
    driver.fail["components"] = POLICY
    assert one_pass(deployment).reason.startswith(POLICY.rstrip("."))


def test_a_change_that_is_refused_does_not_hide_a_component_that_fails_meanwhile(deployment, driver, alice):
    refuse_a_change(deployment, driver, alice)
    driver.break_component(ref_of(deployment), "scheduler", "Scheduler keeps crashing.", "boom")
    assert one_pass(deployment).status == Status.UNHEALTHY
    shown = deployment.components.get(name="scheduler")
    assert (shown.state, shown.reason, shown.last_line) == ("failing", "Scheduler keeps crashing.", "boom")


def test_a_change_that_is_refused_does_not_stop_the_counting_of_what_waits(deployment, driver, alice):
    refuse_a_change(deployment, driver, alice)
    queue = deployment.queues.get()
    driver.worlds[deployment.release_name].loads = {queue.name: (3, 2)}
    one_pass(deployment)
    queue.refresh_from_db()
    assert (queue.queued, queue.running) == (3, 2)


def test_a_deploy_whose_version_cannot_be_read_leaves_the_real_reason_on_the_page(
    deployment, driver, alice, monkeypatch
):
    settle(deployment)
    deploy = deployed(deployment, alice)
    code = driver.code(ref_of(deployment))

    def silent() -> str:
        raise DataPlaneUnreachable(AWAY)

    with monkeypatch.context() as patched:
        patched.setattr(code, "active", silent)
        while deploy.status != DeployStatus.ACTIVATING:
            one_pass(deployment)
            deploy.refresh_from_db()
        for _ in range(2):
            assert "unexpected" not in one_pass(deployment).reason
        assert deployment.failures > 0
    settle(deployment)
    deploy.refresh_from_db()
    assert deploy.status == DeployStatus.DEPLOYED


def test_an_image_whose_rollout_is_refused_is_given_back_in_time_and_not_asked_for_for_ever(
    deployment, driver, alice
):
    driver.takes_images = True
    settle(deployment)
    deploy = asked(deployment, alice)
    while deploy.status != DeployStatus.ACTIVATING:
        driver.fail["components"] = POLICY
        one_pass(deployment)
        deploy.refresh_from_db()
    assert one_pass(deployment).image
    Deploy.objects.update(rollout_until=timezone.now() - timedelta(seconds=1))
    one_pass(deployment)
    deploy.refresh_from_db()
    assert deploy.status == DeployStatus.FAILED
    assert "the image of the runtime runs again. A policy of the cluster refused" in deploy.sentence
    driver.fail.clear()
    assert (settle(deployment).status, deployment.image) == (Status.HEALTHY, "")


@pytest.mark.parametrize("point", ["reconcile.after_observe", "reconcile.before_record"])
def test_a_moment_without_the_consoles_own_database_makes_no_deployment_unhealthy(
    deployment, driver, monkeypatch, point
):
    settle(deployment)

    def lose(name: str) -> None:
        if name == point:
            ((pid,),) = connection.cursor().execute("SELECT pg_backend_pid()").fetchall()
            with psycopg.connect(postgres.url(STATE, "postgres"), autocommit=True) as server:
                server.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    with monkeypatch.context() as patched:
        patched.setattr(reconciling, "failpoint", lose)
        with pytest.raises(OperationalError):
            one_pass(deployment)
    deployment.refresh_from_db()
    assert (deployment.status, deployment.reason) == (Status.HEALTHY, "")
    assert deployment.due_at > timezone.now()
    assert deployment.lease_until <= timezone.now()  # given back
    assert [change.new for change in deployment.status_changes.all()] == ["healthy"]
    assert settle(deployment).failures == 0
