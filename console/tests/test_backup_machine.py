"""The drill for this machine: the databases and folders of its Deployments come back with the console."""

# ruff: noqa: F811

import subprocess
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command

from console.backup import machine
from console.embedded import postgres
from console.tests import services
from console.tests.test_backup import backup, file, furnished  # noqa: F401 - fixtures
from deployments.clusters import connections
from deployments.dataplane.postgres import databases
from deployments.models import Deployment
from deployments.secrets import vault

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def on_this_machine(furnished, settings, tmp_path) -> Deployment:
    """With a database of its own on the test run's server, and DAGs in its folder."""
    settings.EMBEDDED, settings.STATE_DIR = True, tmp_path / "state"
    connections.ensure_embedded(database_url=postgres.url(services.STATE, "postgres"), settings={})
    make_database(furnished)
    with inside(furnished) as own:
        own.execute("CREATE TABLE dag_run (id serial PRIMARY KEY, state text)")
        own.execute("INSERT INTO dag_run (state) VALUES ('success'), ('failed')")
    dags = tmp_path / "state" / "deployments" / furnished.release_name / "dags" / "team"
    dags.mkdir(parents=True)
    (dags / "daily.py").write_text("import airflow\n")
    (dags / "secret").symlink_to("/etc/hostname")
    yield furnished
    databases.drop_database(admin(), furnished.release_name, str(furnished.pk))
    databases.drop_role(admin(), furnished.release_name, str(furnished.pk))


def admin() -> str:
    return postgres.url(services.STATE, "postgres")


def make_database(deployment: Deployment) -> None:
    databases.ensure_database(
        admin(),
        deployment.release_name,
        str(deployment.pk),
        password=vault.read(deployment).database_password,
        template="",
        connection_limit=20,
        runtime=deployment.runtime.version,
    )


def inside(deployment: Deployment) -> psycopg.Connection:
    """As the Airflow signs in."""
    name = databases.database_name(deployment.release_name)
    password = vault.read(deployment).database_password
    return psycopg.connect(
        databases.url(admin(), database=name, user=name, password=password), autocommit=True
    )


def test_the_database_and_the_folders_of_this_machine_s_deployments_come_back(
    on_this_machine, file, tmp_path
):
    deployment, state = on_this_machine, tmp_path / "state"
    backup(file)
    databases.drop_database(admin(), deployment.release_name, str(deployment.pk))
    databases.drop_role(admin(), deployment.release_name, str(deployment.pk))
    (state / "deployments").rename(state / "gone")
    services.flush()
    connections.ensure_embedded(database_url=admin(), settings={"state_dir": "of this installation"})

    call_command("restore", file)
    again = Deployment.objects.get()
    assert connections.config(again.cluster).settings["state_dir"] == "of this installation"
    found = databases.find(admin(), again.release_name, str(again.pk))
    assert (found.ready, found.runtime) == (True, again.runtime.version)
    with inside(again) as own:
        assert own.execute("SELECT state FROM dag_run ORDER BY id").fetchall() == [("success",), ("failed",)]
        own.execute("INSERT INTO dag_run (state) VALUES ('queued')")  # its own tables, and its sequence
        assert own.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'dag_run'").fetchone() == (
            databases.database_name(again.release_name),
        )
    dags = state / "deployments" / again.release_name / "dags" / "team"
    assert [each.name for each in dags.iterdir()] == ["daily.py"]


def test_a_database_that_is_still_there_is_left_as_it_is(on_this_machine, file, capsys):
    backup(file)
    services.flush()
    connections.ensure_embedded(database_url=admin(), settings={})
    with psycopg.connect(admin(), dbname=databases.database_name(on_this_machine.release_name)) as own:
        own.execute("DELETE FROM dag_run")
    call_command("restore", file)
    assert "is there already and was left as it is" in capsys.readouterr().out
    with inside(Deployment.objects.get()) as own:
        assert own.execute("SELECT count(*) FROM dag_run").fetchone() == (0,)


def test_a_database_that_a_restore_left_half_is_made_again(on_this_machine, file, monkeypatch):
    backup(file)
    databases.drop_database(admin(), on_this_machine.release_name, str(on_this_machine.pk))
    services.flush()
    connections.ensure_embedded(database_url=admin(), settings={})
    run = machine._run

    def ends(program: str, *arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(machine, "_run", ends)
        with pytest.raises(KeyboardInterrupt):
            call_command("restore", file)
    assert machine._run is run
    name = on_this_machine.release_name
    found = databases.find(admin(), name, str(on_this_machine.pk))
    assert (found.database, found.ready) == (True, False)
    call_command("restore", file)
    with inside(Deployment.objects.get()) as own:
        assert own.execute("SELECT count(*) FROM dag_run").fetchone() == (2,)


def test_what_a_deployment_wrote_into_its_tables_gets_no_right_of_the_server_while_it_is_put_back(
    on_this_machine, file
):
    with inside(on_this_machine) as own:
        own.execute(
            "CREATE FUNCTION takes(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
            "PERFORM set_config('role', 'none', false); "
            "RETURN NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user); END $$"
        )
        own.execute("ALTER TABLE dag_run ADD CHECK (takes(state))")
    backup(file)
    databases.drop_database(admin(), on_this_machine.release_name, str(on_this_machine.pk))
    services.flush()
    connections.ensure_embedded(database_url=admin(), settings={})
    call_command("restore", file)
    with inside(Deployment.objects.get()) as own:
        assert own.execute("SELECT count(*) FROM dag_run").fetchone() == (2,)


def test_no_program_gets_a_password_as_an_argument(on_this_machine, file, monkeypatch):
    started: list[list[str]] = []
    run = subprocess.run

    def remember(argv: list[str], **options: object):
        started.append(argv)
        return run(argv, **options)

    monkeypatch.setattr(subprocess, "run", remember)
    backup(file)
    password = psycopg.conninfo.conninfo_to_dict(admin())["password"]
    assert [Path(argv[0]).name for argv in started] == ["pg_dump"]
    assert password
    assert password not in str(started)
