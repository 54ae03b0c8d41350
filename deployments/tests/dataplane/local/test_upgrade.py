"""The local data plane's upgrade, without Airflow: real supervisord and Postgres, a played migration."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from console.embedded import postgres
from console.tests.services import STATE
from deployments.dataplane.contract import DataPlaneError, Outcome, Ref, UpgradeFailed
from deployments.dataplane.local.runtimes import migrate
from deployments.dataplane.local.runtimes.jobs import Job, JobStatus
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.steps.programs import is_worker
from deployments.dataplane.local.steps.upgrade import Upgrade, stop
from deployments.dataplane.local.supervisor.processes import Processes
from deployments.dataplane.postgres import databases, templates
from deployments.domain.spec import Release, RuntimeSpec, au_size
from deployments.domain.states import Executor
from deployments.tests.dataplane.contract import CANARIES
from deployments.tests.dataplane.local.airflow_local import config, start_supervisord
from deployments.tests.templates import drop_template

pytestmark = pytest.mark.thorough
OLD, NEW = RuntimeSpec("0.1-1", "0.1"), RuntimeSpec("0.2-1", "0.2")
REF = Ref("33333333-0000-0000-0000-000000000003", "quiet-valley-0003")
RELEASE = Release(*vars(REF).values(), 2, NEW, Executor.LOCAL, au_size(5), 1, upgrade_from=OLD)
ADMIN = postgres.url(STATE, "postgres")


class Nothing:
    """A Deployment of which nothing runs."""

    def known(self):
        return {}

    def end_orphans(self):
        pass


@pytest.fixture
def migration() -> Callable[[str], Path]:
    """Says what the new runtime's `airflow db migrate` does, as a shell script; $URL is the database."""
    python = STATE.runtime(NEW.version) / "current" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)

    def does(script: str) -> Path:
        python.write_text(f'#!/bin/sh\nURL="$AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"\n{script}\n')
        python.chmod(0o700)
        return python

    return does


@pytest.fixture(scope="module")
def template():
    """The template database of the old runtime, with one row in it."""
    name = templates.name_of(OLD.version)
    with psycopg.connect(templates.begin(ADMIN, name, "secret"), autocommit=True) as connection:
        connection.execute("CREATE TABLE thing AS SELECT 'kept' AS word")
    templates.finish(ADMIN, name)
    yield name
    drop_template(ADMIN, OLD.version)


@pytest.fixture
def upgrade(migration, template):
    """The upgrade of a Deployment whose database is at the old runtime."""
    supervisor = start_supervisord()
    databases.ensure_database(
        ADMIN,
        REF.release_name,
        REF.deployment_id,
        password=CANARIES.database_password,
        template=template,
        connection_limit=5,
        runtime=OLD.version,
    )
    STATE.deployment(REF.release_name).mkdir(parents=True)
    made = Upgrade(STATE, supervisor, config().database_url, REF)
    yield made
    deadline = time.monotonic() + 60
    while not made.forget():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    STATE.deployment(REF.release_name).rmdir()
    databases.drop_database(ADMIN, REF.release_name, REF.deployment_id)
    databases.drop_role(ADMIN, REF.release_name, REF.deployment_id)


def found():
    return databases.find(ADMIN, REF.release_name, REF.deployment_id)


def words():
    name = databases.database_name(REF.release_name)
    with databases.connect(ADMIN, database=name) as connection:
        return connection.execute("SELECT word FROM thing").fetchall()


def step(upgrade):
    return upgrade.step(RELEASE, CANARIES, Nothing())


def until_done(upgrade, each=lambda: None):
    """Step until nothing is left to do; the sentences on the way."""
    message, deadline = [], time.monotonic() + 60
    while (progress := step(upgrade)) is not None:
        assert time.monotonic() < deadline, message
        assert (progress.step, progress.outcome) == ("upgrade", Outcome.WAITING)
        message.append(progress.sentence)
        each()
        time.sleep(0.05)
    return message


def test_a_migration_that_succeeds_is_written_down_and_its_copy_dropped_at_the_end(upgrade, migration):
    migration('test "$*" = "-m airflow db migrate"')
    until_done(upgrade)
    assert (found().runtime, found().snapshot) == ("0.2-1", "0.1-1")
    upgrade.finish()
    assert (found().runtime, found().snapshot) == ("0.2-1", None)
    assert words() == [("kept",)]
    assert step(upgrade) is None


def test_a_migration_that_fails_gives_the_database_back_and_says_the_line_that_tells(upgrade, migration):
    migration(
        "echo Traceback; echo 'psycopg2.errors.DuplicateTable: relation \"x\" already exists'; echo '[SQL: x]'; exit 1"
    )
    with pytest.raises(UpgradeFailed) as caught:
        until_done(upgrade)
    assert str(caught.value) == (
        'airflow db migrate failed: psycopg2.errors.DuplicateTable: relation "x" already exists'
    )
    assert (found().ready, found().runtime, found().snapshot) == (True, "0.1-1", None)
    assert words() == [("kept",)]


def test_a_failure_that_nobody_heard_of_is_told_again_and_forgotten_on_the_way_back(upgrade, migration):
    migration("exit 1")
    for _ in range(2):  # whoever heard it first was killed before it was recorded
        with pytest.raises(UpgradeFailed, match="it printed nothing"):
            until_done(upgrade)
    back = Release(*vars(REF).values(), 3, OLD, Executor.LOCAL, au_size(5), 1)
    assert upgrade.step(back, CANARIES, Nothing()) is None
    migration("exit 0")
    until_done(upgrade)
    assert found().runtime == "0.2-1"


def test_a_failure_that_was_told_says_nothing_about_the_next_upgrade(upgrade, migration):
    """It may sleep in between, so that nothing is done on the way back."""
    migration("exit 1")
    with pytest.raises(UpgradeFailed):
        until_done(upgrade)
    migration("exit 0")
    until_done(upgrade)
    assert (found().runtime, found().snapshot) == ("0.2-1", "0.1-1")


def test_a_last_attempt_that_succeeds_while_it_is_judged_is_not_undone(
    upgrade, migration, tmp_path, monkeypatch
):
    migration(
        f"test -e {tmp_path}/go && exit 0; touch {tmp_path}/begun; while ! test -e {tmp_path}/go; do sleep .02; done"
    )
    while not (tmp_path / "begun").exists():
        step(upgrade)
    upgrade.job.say(JobStatus("Migrating.", attempts=3, at=time.time()))
    read = Job.status

    def ends_just_now(job):
        before = read(job)
        (tmp_path / "go").touch()
        while upgrade.running():
            time.sleep(0.02)
        return before

    monkeypatch.setattr(Job, "status", ends_just_now)
    assert step(upgrade) is not None
    monkeypatch.undo()
    until_done(upgrade)
    assert (found().runtime, found().snapshot) == ("0.2-1", "0.1-1")


def test_a_migration_that_failed_is_undone_only_when_its_process_has_ended(upgrade, migration, tmp_path):
    """Else the next upgrade, asked for at once, would take the old process for its own and make no copy."""
    migration(f"touch {tmp_path}/begun; while ! test -e {tmp_path}/go; do sleep .02; done; exit 1")
    while not (tmp_path / "begun").exists():
        step(upgrade)
    upgrade.job.say(JobStatus("boom", attempts=1, at=time.time(), failed=True))
    assert step(upgrade).sentence == "The migration failed: waiting for its process to end."
    assert found().snapshot == "0.1-1"
    (tmp_path / "go").touch()
    with pytest.raises(UpgradeFailed):
        until_done(upgrade)
    assert (found().runtime, found().snapshot) == ("0.1-1", None)


def test_a_migration_that_is_killed_is_begun_again(upgrade, migration, tmp_path):
    migration(f"test -e {tmp_path}/again && exit 0; touch {tmp_path}/again; sleep 60")

    killed = []

    def kill_the_first():
        job = next((p for p in upgrade.supervisor.processes() if p.group == upgrade.job.name), None)
        if job and job.pid and (tmp_path / "again").exists() and not killed:
            killed.append(job.pid)
            os.killpg(job.pid, signal.SIGKILL)

    until_done(upgrade, kill_the_first)
    assert len(killed) == 1
    assert found().runtime == "0.2-1"


def test_a_migration_that_is_cut_short_each_time_is_given_up(upgrade, migration):
    migration("exit 0")
    upgrade.job.folder.mkdir()
    assert step(upgrade) is not None  # the copy is taken, the job begun
    while upgrade.running():
        time.sleep(0.02)
    with databases.connect(ADMIN) as connection:  # as if it had never come to write it down
        name = databases.database_name(REF.release_name)
        connection.execute(f"COMMENT ON DATABASE {name} IS '{databases.mark(REF.deployment_id, '0.1-1')}'")
    upgrade.job.say(JobStatus("Migrating.", attempts=3, at=time.time()))
    with pytest.raises(UpgradeFailed, match="cut short"):
        step(upgrade)
    assert (found().runtime, found().snapshot) == ("0.1-1", None)


def test_one_killed_while_it_gave_the_database_back_is_completed(upgrade, migration):
    migration("exit 0")
    step(upgrade)
    while upgrade.running():
        time.sleep(0.02)
    with psycopg.connect(ADMIN, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {databases.database_name(REF.release_name)} WITH (FORCE)")
    step(upgrade)
    assert found().database
    assert words() == [("kept",)]


def test_nothing_of_it_is_in_an_argument_list(upgrade, migration, tmp_path):
    migration(f'cat /proc/$PPID/cmdline /proc/$$/cmdline > {tmp_path}/argv; echo "$URL" > {tmp_path}/url')
    until_done(upgrade)
    assert CANARIES.database_password in (tmp_path / "url").read_text()
    assert CANARIES.database_password not in (tmp_path / "argv").read_text()
    for file in upgrade.job.folder.rglob("*"):
        assert file.stat().st_mode & 0o077 == 0


def test_an_environment_that_cannot_be_installed_fails_the_upgrade_while_the_old_airflow_runs_on(tmp_path):
    job, waits = Job("runtime-0.2-1", tmp_path), waiting(tmp_path)
    for attempts in (0, 1, 2):
        goes_on(waits, job, RELEASE, attempts=attempts)
    with pytest.raises(UpgradeFailed, match="the disk is full"):
        ask(waits, job, RELEASE, attempts=3)
    with pytest.raises(UpgradeFailed, match="the disk is full"):  # whoever heard it first was killed
        ask(waits, job, RELEASE, attempts=3)
    assert job.status().attempts == 3  # others wait for the same runtime


def test_attempts_from_before_an_upgrade_do_not_count_against_it(tmp_path):
    job, waits = Job("runtime-0.2-1", tmp_path), waiting(tmp_path)
    for attempts in (9, 10, 11):
        goes_on(waits, job, RELEASE, attempts=attempts)
    with pytest.raises(UpgradeFailed):
        ask(waits, job, RELEASE, attempts=12)
    again = replace(RELEASE, generation=RELEASE.generation + 2)
    goes_on(waits, job, again, attempts=12)
    new = Release(*vars(REF).values(), 1, NEW, Executor.LOCAL, au_size(5), 1)
    goes_on(waiting(tmp_path / "new"), job, new, attempts=99)  # a new Deployment goes on trying


def waiting(root):
    return Upgrade(StateDir(root), start_supervisord(), ADMIN, REF)


def ask(waits, job, release, *, attempts):
    """One call that finds the job waiting for its next try."""
    job.say(JobStatus("Installing Airflow 0.2 failed: the disk is full.", attempts=attempts, failed=True))
    with waits.waiting_for(job, release):
        raise DataPlaneError("The next try is in 10 s.")


def goes_on(waits, job, release, *, attempts):
    """One such call, after which the upgrade still waits."""
    with pytest.raises(DataPlaneError, match="The next try"):
        ask(waits, job, release, attempts=attempts)


class Recorded:
    """A Deployment's programs, and what was done to them."""

    def __init__(self, *running: str) -> None:
        self.running = dict.fromkeys(running, True)
        self.did: list[str] = []

    def known(self):
        alive = type("Info", (), {"alive": True})
        return dict.fromkeys(self.running, alive)

    def drain(self, program: str) -> None:
        self.did.append(f"drain {program}")

    def remove(self, program: str) -> bool:
        self.did.append(f"remove {program}")
        self.running.pop(program)
        return True


def test_workers_finish_while_the_api_server_and_redis_still_run():
    programs = Recorded("api-server", "redis", "scheduler-1", "triggerer", "worker-default-01")
    assert "Worker of queue default" in stop(programs)
    assert programs.did == ["remove scheduler-1", "remove triggerer", "drain worker-default-01"]
    assert "Worker of queue default" in stop(programs)
    assert {"api-server", "redis"} <= programs.running.keys()
    programs.running = {name: True for name in programs.running if not is_worker(name)}  # its tasks are done
    assert stop(programs) == ""
    assert programs.running == {}


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("", "it printed nothing"),
        ("a\nKeyError: 'x'\nb", "KeyError: 'x'"),
        (
            "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.X) boom\n[SQL: y]\n(Background on this error at: z)",
            "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.X) boom",
        ),
        ("first\n\x1b[31mlast\x1b[0m\n\n", "last"),
        ("Error: not this shape\nplain last", "plain last"),
    ],
)
def test_the_line_that_tells(output, expected):
    assert migrate.relevant_line(output) == expected


def test_a_deployment_of_which_nothing_was_made_needs_no_upgrade():
    nobody = Upgrade(STATE, start_supervisord(), ADMIN, Ref("4" * 8, "nobody-here-0001"))
    assert nobody.step(RELEASE, CANARIES, Processes(STATE, nobody.supervisor, "nobody-here-0001")) is None
    with pytest.raises(DataPlaneError):
        databases.find("postgresql://nobody@/x?host=/nowhere", REF.release_name, REF.deployment_id)
