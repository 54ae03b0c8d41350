"""What the DAGs do, from a terminal."""

from datetime import timedelta

import pytest
from django.utils import timezone

from deployments.dataplane.reading import ImportErrorReading
from deployments.tests.readings import a_dag, a_reading, a_run, remember

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]
WHY = "ModuleNotFoundError: No module named 'pandas'"


def test_dags_are_listed_with_their_last_run_and_narrowed(airdeck, deployment):
    assert airdeck("dag", "list", "Analytics").out == "Analytics has no DAGs so far.\n"
    failed = a_run("failed", ago=timedelta(hours=2), seconds=3725)
    remember(deployment, a_reading(a_dag("nightly", failed), a_dag("weekly", paused=True)))
    listed = airdeck("dag", "list", "Analytics").out
    heads, nightly, weekly = listed.splitlines()
    assert heads.split("  ")[0] == "DAG"
    for shown in ("nightly", "0 4 * * *", f"{failed.run_at:%Y-%m-%d %H:%M} UTC", "failed", "1 h 2 min"):
        assert shown in nightly
    assert weekly.endswith("paused")
    narrowed = airdeck("dag", "list", "Analytics", "--state", "failed", "-k", "night", "-o", "json").json
    assert [row["dag_id"] for row in narrowed] == ["nightly"]
    assert airdeck("dag", "list", "Analytics", "-k", "none").out == "No DAG of Analytics matches.\n"


def test_files_that_do_not_import_are_listed_and_end_with_1(airdeck, deployment):
    assert "was not read so far." in airdeck("dag", "errors", "Analytics", code=1).err
    remember(deployment, a_reading(a_dag(), at=timezone.now()))
    assert airdeck("dag", "errors", "Analytics").out.startswith("Every file imports. Read at ")
    broken = (ImportErrorReading("load.py", WHY),)
    remember(deployment, a_reading(a_dag(), import_errors=broken, import_error_count=3, at=timezone.now()))
    ended = airdeck("dag", "errors", "Analytics", code=1)
    assert f"load.py  {WHY}" in ended.out
    assert "The first 1 of 3 are listed.\n3 files do not import. Read at " in ended.err
    assert airdeck("dag", "errors", "Analytics", "-o", "json", code=1).json == [
        {"file": "load.py", "line": WHY}
    ]
