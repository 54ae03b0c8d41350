"""A worker keeps its connection to the database from task to task, and is never stuck with a broken one."""

from collections.abc import Callable

import psycopg
import pytest
from celery.fixups.django import DjangoWorkerFixup
from celery.signals import task_postrun, task_prerun
from django.db import connection

from console.celery import app
from console.embedded import postgres
from console.kit.database_clock import database_now
from console.tests import services
from deployments.tasks import sweep

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(monkeypatch) -> Callable[[Callable[[], object]], None]:
    """Run something as a task, with what Celery and the console do around one in a worker."""
    monkeypatch.setitem(
        connection.settings_dict, "CONN_MAX_AGE", 600
    )  # as in a worker (console/environment.py)
    connection.close()
    celerys = DjangoWorkerFixup(app)

    def as_task(work: Callable[[], object]) -> None:
        task_prerun.send(sender=sweep, task=sweep)
        celerys.on_task_prerun(sender=sweep)
        try:
            work()
        finally:
            task_postrun.send(sender=sweep, task=sweep, state="SUCCESS")
            celerys.on_task_postrun(sender=sweep)

    return as_task


def backend() -> int:
    """The process of Postgres that serves this connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def test_tasks_share_a_connection(run) -> None:
    served: list[int] = []
    for _ in range(3):
        run(lambda: served.append(backend()))
    assert len(set(served)) == 1


def test_one_that_the_server_ended_is_made_again(run) -> None:
    served: list[int] = []
    run(lambda: served.append(backend()))
    with psycopg.connect(postgres.url(services.STATE, "postgres"), autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", served)
    run(lambda: served.append(backend()))
    assert len(set(served)) == 2


def test_one_that_was_left_in_the_middle_of_a_query_is_made_again(run) -> None:
    """As a time limit leaves it."""

    def cut_off() -> None:
        connection.ensure_connection()
        connection.connection.pgconn.send_query(b"SELECT pg_sleep(30)")
        raise TimeoutError

    with pytest.raises(TimeoutError):
        run(cut_off)
    run(database_now)


def test_old_ones_are_replaced(run, monkeypatch) -> None:
    served: list[int] = []
    run(lambda: served.append(backend()))
    monkeypatch.setattr(connection, "close_at", 0.0)
    run(lambda: served.append(backend()))
    assert len(set(served)) == 2
