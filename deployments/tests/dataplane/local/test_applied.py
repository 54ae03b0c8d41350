"""What the local data plane makes of what was applied before: no Airflow, but real supervisord and Postgres."""

import shutil
from dataclasses import replace

import psycopg
import pytest

from console.embedded import postgres
from console.tests.services import STATE
from deployments.dataplane.contract import UNDER_WAY, DataPlaneError
from deployments.dataplane.local.driver import LocalDriver
from deployments.dataplane.local.steps import applied
from deployments.dataplane.postgres import templates
from deployments.domain.spec import RuntimeSpec
from deployments.domain.states import Executor
from deployments.tests.dataplane.contract import new_case
from deployments.tests.dataplane.local.airflow_local import config, start_supervisord
from deployments.tests.templates import drop_template


def test_on_the_way_to_another_release_nothing_counts_as_applied(tmp_path) -> None:
    applied.leave(tmp_path, "red")
    assert applied.digest(tmp_path) == ""
    applied.record_applied(tmp_path, "blue")
    applied.leave(tmp_path, "blue")
    assert applied.digest(tmp_path) == "blue"
    applied.leave(tmp_path, "red")
    assert applied.digest(tmp_path) == UNDER_WAY


def test_a_file_that_somebody_broke_reads_as_never_applied(tmp_path) -> None:
    for text in ("", "[]", "{}", "{"):
        (tmp_path / "applied.json").write_text(text)
        assert applied.digest(tmp_path) == ""


def test_a_database_that_is_gone_is_told_and_not_replaced_by_an_empty_one() -> None:
    start_supervisord()
    case = new_case(Executor.LOCAL, runtime=RuntimeSpec("0.3-1", "0.3"))
    python = STATE.runtime("0.3-1") / "current" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.touch()
    folder = STATE.deployment(case.ref.release_name)
    name = templates.name_of("0.3-1")
    with psycopg.connect(templates.begin(postgres.url(STATE, "postgres"), name, "secret")):
        pass
    templates.finish(postgres.url(STATE, "postgres"), name)
    try:
        applied.record_applied(folder, case.release.digest)
        for release in (case.release, replace(case.release, environment={})):
            with pytest.raises(DataPlaneError, match=r"is not on the database server.* Put it back"):
                LocalDriver(config()).apply(case.ref, release, case.secrets, case.workers)
        assert LocalDriver(config()).observe(case.ref).digest == case.release.digest
        shutil.rmtree(folder)  # all that this machine kept of it is gone, too; the console knows that it ran
        release = replace(case.release, ran_before=True)
        with pytest.raises(DataPlaneError, match=r"is not on the database server.* delete this Deployment"):
            LocalDriver(config()).apply(case.ref, release, case.secrets, case.workers)
    finally:
        LocalDriver(config()).destroy(case.ref)
        drop_template(postgres.url(STATE, "postgres"), "0.3-1")
