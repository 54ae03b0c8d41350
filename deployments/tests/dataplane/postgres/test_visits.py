"""Asking a metadata database whose owner wishes us ill: who deploys code may make anything of its tables."""

# ruff: noqa: F811 - fixtures of another module

import psycopg
import pytest

from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable
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
