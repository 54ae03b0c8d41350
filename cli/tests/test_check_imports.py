"""airdeck deploy --check-imports: a job is red when Airflow cannot import what it deployed."""

from datetime import timedelta

import pytest
from django.utils import timezone

from deployments.models import Deploy, Deployment, DeployStep
from deployments.tests.reconciler.test_deploys import _Ref

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]
WHY = "ModuleNotFoundError: No module named 'pandas'"
CHECK = ("deploy", "dags", "-d", "Analytics", "--check-imports", "--wait-time", "60")


@pytest.fixture
def dags(tmp_path, airdeck, deployment, reconciled):
    airdeck("wait", f"{deployment.release_name}.create.1")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "load.py").write_text("from airflow.sdk import DAG\nDAG('load')\n")
    return tmp_path


def test_a_job_is_red_when_a_file_does_not_import_and_green_once_all_do(airdeck, deployment, driver, dags):
    code = driver.code(_Ref(deployment))
    code.problems = {"load.py": WHY}
    red = airdeck(*CHECK, cwd=dags, code=1)
    assert "Deploy 1 is active." in red.out
    assert "1 of 1 Python files does not import." in red.err
    assert f"  load.py: {WHY}" in red.err
    code.problems = {}
    (dags / "dags" / "load.py").write_text("from airflow.sdk import DAG\nDAG('other')\n")
    waited = airdeck(
        *CHECK[:-1], "4", cwd=dags, code=5
    )  # of the minute in which a file may still turn out not to
    assert "The time to wait is over before Airflow has read all of it. See http" in waited.err
    Deploy.objects.update(activated_at=timezone.now() - timedelta(seconds=70))
    green = airdeck(*CHECK, cwd=dags)
    assert "There is nothing to do." in green.out
    assert "Every file imports." in green.err


def test_an_airflow_that_hibernates_reads_nothing_and_the_job_says_so(airdeck, deployment, dags):
    airdeck("deployment", "hibernate", "Analytics", "--wait")
    asleep = airdeck(*CHECK, cwd=dags)
    assert "Airflow is hibernating and reads it when it wakes up." in asleep.err


def test_what_airflow_does_not_read_is_no_success(airdeck, deployment, dags, reconciled):
    airdeck("deploy", "dags", "-d", "Analytics", "--wait", cwd=dags)
    reconciled.paused.set()
    Deployment.objects.update(lease_until=None)
    DeployStep.objects.filter(key="read").update(
        state="failed", sentence="Airflow has not read it within a minute."
    )
    assert "Airflow has not read it within a minute. See http" in airdeck(*CHECK, cwd=dags, code=1).err
    refused = airdeck("deploy", "--image", "x", "--check-imports", "-d", "Analytics", code=2).err
    assert "--image deploys an image alone" in refused
