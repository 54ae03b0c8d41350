"""Asking a metadata database whose owner wishes us ill: who deploys code may make anything of its tables."""

# ruff: noqa: F811 - fixtures of another module

import time
from pathlib import Path

import psycopg
import pytest

from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable
from deployments.dataplane.local.health import probe
from deployments.dataplane.postgres import airflow_metadata, airflow_reading, databases, visits
from deployments.tests.dataplane.postgres.airflow_tables import TABLES
from deployments.tests.dataplane.postgres.test_databases import ID, NAME, RELEASE, admin, made, sql  # noqa: F401

VISITOR = f"{NAME}_visitor"
# As anyone may write it who has the Deployment's own password: it takes what the session has, and writes down whose
# that was.
SPY = """
CREATE TABLE seen (who text, may_do_all boolean);
GRANT ALL ON seen TO PUBLIC;
CREATE FUNCTION spy() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('role', 'none', false);
  BEGIN PERFORM set_config('session_authorization', 'default', false); EXCEPTION WHEN OTHERS THEN NULL; END;
  INSERT INTO seen SELECT rolname, rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user;
  RETURN 'running';
END $$;
"""
INSTEAD_OF_A_TABLE = "CREATE VIEW task_instance AS SELECT spy() AS state"
INSTEAD_OF_AN_OPERATOR = """
CREATE TABLE task_instance (state varchar(20));
INSERT INTO task_instance VALUES ('running');
CREATE FUNCTION same(varchar, varchar) RETURNS boolean LANGUAGE sql AS 'SELECT spy() IS NOT NULL';
CREATE OPERATOR = (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = same);
ALTER DATABASE %s SET search_path = public, pg_catalog;
"""


@pytest.mark.parametrize(
    "trap", [INSTEAD_OF_A_TABLE, INSTEAD_OF_AN_OPERATOR % NAME], ids=["table", "operator"]
)
def test_what_a_deployment_puts_in_our_way_runs_with_its_own_rights(admin, made, trap):
    sql(SPY + trap, url=made)
    assert airflow_metadata.tasks(admin, RELEASE).running == 1
    assert set(sql("SELECT * FROM seen", url=made)) == {(VISITOR, False)}


def test_the_visitor_may_read_what_the_airflow_wrote_and_nothing_elsewhere(admin, made):
    sql(TABLES, url=made)
    assert airflow_reading.read(admin, RELEASE, None).dags == {}
    with visits.visit(admin, RELEASE) as inside:
        roles = inside.execute(
            "SELECT rolname FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER') AND rolname !~ '^pg_'"
        ).fetchall()
    assert {name for (name,) in roles} == {NAME, VISITOR}


def test_a_look_does_not_pay_for_a_password_that_nobody_can_guess(admin, made, monkeypatch):
    kept: list[str] = []

    def verifier(*of: object) -> str:
        kept.append(databases.verifier(*of))
        return kept[-1]

    monkeypatch.setattr(visits, "verifier", verifier)
    sql(TABLES, url=made)
    airflow_metadata.tasks(admin, RELEASE)
    assert [each.partition(":")[0] for each in kept] == ["SCRAM-SHA-256$1"]


def test_a_password_that_is_not_ours_is_replaced(admin, made):
    sql(TABLES, url=made)
    for change in ("PASSWORD 'mine'", "NOLOGIN"):
        airflow_metadata.tasks(admin, RELEASE)
        sql(f"ALTER ROLE {VISITOR} {change}", url=admin)
    assert airflow_metadata.tasks(admin, RELEASE).queued == 0


def test_a_role_of_that_name_that_is_not_ours_is_left_alone(admin, made):
    sql(f"CREATE ROLE {VISITOR}", url=admin)
    try:
        with pytest.raises(DataPlaneError, match="not made for this Deployment"):
            airflow_metadata.tasks(admin, RELEASE)
        databases.drop_database(admin, RELEASE, ID)
        databases.drop_role(admin, RELEASE, ID)
        assert sql("SELECT 1 FROM pg_roles WHERE rolname = %s", VISITOR)
    finally:
        sql(f"DROP ROLE {VISITOR}", url=admin)


def test_the_visitor_goes_with_the_role_and_no_one_makes_one_without_a_database(admin, made):
    sql(TABLES, url=made)
    airflow_metadata.tasks(admin, RELEASE)
    assert databases.drop_database(admin, RELEASE, ID)
    with pytest.raises(DataPlaneUnreachable, match=f"{NAME} is not there"):
        airflow_metadata.tasks(admin, RELEASE)
    assert databases.drop_role(admin, RELEASE, ID)
    assert not sql("SELECT 1 FROM pg_roles WHERE rolname LIKE %s", f"{NAME}%")


def test_nobody_else_knows_the_password(admin, made):
    sql(TABLES, url=made)
    airflow_metadata.tasks(admin, RELEASE)
    for guess in ("", "secret", "managed", VISITOR):
        url = databases.url(admin, database=NAME, user=VISITOR, password=guess)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)


# What a function of the owner's does in the place of a table.
FLOODS = {
    "value": "RETURN QUERY SELECT repeat('x', 60000000)::text, 'queued'::text",
    "rows": "RETURN QUERY SELECT repeat('x', 1000) || n, 'queued'::text FROM generate_series(1, 200000) n",
    "error": "RAISE EXCEPTION '%%', repeat('x', 50000000)",
    "notices": "FOR n IN 1..60 LOOP RAISE WARNING '%%', repeat('x', 1000000); END LOOP",
}
HOSTILE = """
CREATE FUNCTION hostile() RETURNS TABLE (version_num text, state text) LANGUAGE plpgsql AS $$
BEGIN PERFORM set_config('statement_timeout', '0', false); {body}; END $$;
CREATE VIEW alembic_version AS SELECT * FROM hostile();
CREATE VIEW task_instance AS SELECT state, version_num AS queue, version_num AS hostname FROM hostile();
CREATE TABLE job (job_type text, state text, hostname text, start_date timestamptz, latest_heartbeat timestamptz);
"""


def most_memory() -> int:
    """The most that this process has held since it was asked before, in MiB."""
    held = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024
    Path("/proc/self/clear_refs").write_text("5")
    return held


@pytest.mark.parametrize("body", FLOODS.values(), ids=FLOODS)
def test_no_answer_of_a_deployment_fills_our_memory(admin, made, body):
    sql(HOSTILE.format(body=body), url=made)
    most_memory()
    before = most_memory()
    look = airflow_metadata.revision if body == FLOODS["value"] else airflow_metadata.vitals
    with pytest.raises(DataPlaneError, match="more than 4 MiB"):
        look(admin, RELEASE)
    assert most_memory() - before < 40


def test_a_deployment_keeps_no_look_for_longer_than_a_visit_takes(admin, made, monkeypatch):
    monkeypatch.setattr(visits, "VISIT_SECONDS", 1.0)
    sql(HOSTILE.format(body="PERFORM pg_sleep(60)"), url=made)
    sql("INSERT INTO job VALUES ('', 'running', '', now(), now() - interval '1 minute')", url=made)
    began = time.monotonic()
    with pytest.raises(DataPlaneUnreachable, match="in time"):
        airflow_metadata.vitals(admin, RELEASE)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("began", ["NULL::timestamptz", "'soon'::text", "'{}'::json"])
def test_an_answer_of_another_shape_is_a_refusal_as_any_other(admin, made, began):
    sql(TABLES, url=made)
    sql("DROP TABLE job", url=made)
    sql(
        f"CREATE VIEW job AS SELECT 'x' AS job_type, 'running' AS state, '' AS hostname, {began} AS start_date, "
        "now() AS latest_heartbeat",
        url=made,
    )
    with pytest.raises(DataPlaneError):
        airflow_metadata.vitals(admin, RELEASE)
    assert probe.metadata(admin, RELEASE) == (None, {})
