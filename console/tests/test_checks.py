"""A pooler in place of Postgres is refused in words, for the console and for clusters."""

import copy
import re
import runpy
import sys
from pathlib import Path

import pytest
from django.core.checks import Tags, run_checks
from django.db import NotSupportedError, OperationalError, connections
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.postgresql.features import DatabaseFeatures

from console import checks
from console.checks import takes_limits
from console.tests import services
from console.tests.pooler import refusing_pooler
from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable
from deployments.dataplane.kubernetes.checks import postgres_verdicts
from deployments.dataplane.kubernetes.checks.postgres_verdicts import Server
from deployments.dataplane.postgres import databases
from deployments.dataplane.postgres.server_url import POOLER

ROOT = Path(__file__).resolve().parents[2]


def test_the_postgres_that_the_docs_ask_for_is_one_that_django_takes():
    (asked,) = re.findall(r"a Postgres \((\d+) or newer\)", (ROOT / "docs" / "install.md").read_text())
    assert (int(asked),) == DatabaseFeatures.minimum_database_version


def test_an_older_postgres_is_refused_in_a_sentence(monkeypatch):
    def old(_argv: list[str]) -> None:
        raise NotSupportedError("PostgreSQL 15 or later is required (found 14.5).")

    monkeypatch.setattr("django.core.management.execute_from_command_line", old)
    monkeypatch.setattr(sys, "argv", ["manage.py", "prepare"])
    with pytest.raises(SystemExit, match=r"^DATABASE_URL leads to another Postgres .* \(found 14\.5\)\.$"):
        runpy.run_path(str(ROOT / "manage.py"), run_name="__main__")


@pytest.mark.django_db
def test_a_postgres_takes_our_limits():
    assert run_checks(tags=[Tags.database], databases=["default"]) == []


@pytest.mark.django_db
def test_something_that_drops_them_is_told():
    with connections["default"].cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")  # as a pooler that ignores startup parameters leaves it
    (error,) = takes_limits(databases=["default"])
    assert error.id == "console.E001"
    with connections["default"].cursor() as cursor:
        cursor.execute("RESET statement_timeout")


def database_of(**changed: str) -> DatabaseWrapper:
    return DatabaseWrapper({**copy.deepcopy(connections.settings["default"]), **changed}, "other")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"HOST": "127.0.0.1", "PORT": "1"}, "refused"),
        ({"PASSWORD": "hush-hush"}, "password authentication failed"),
        ({"NAME": "not_there"}, 'database "not_there" does not exist'),
        ({"HOST": "nowhere.invalid"}, "nowhere.invalid"),
    ],
)
def test_a_database_that_takes_no_connection_is_told_by_the_check_and_ends_a_command_in_a_sentence(
    monkeypatch, changed, said
):
    database = database_of(**changed)
    monkeypatch.setattr("console.checks.connections", {"other": database})
    (error,) = takes_limits(databases=["other"])
    assert error.id == "console.E004"
    assert said in error.msg
    assert "hush" not in error.msg

    def asks(_argv: list[str]) -> None:
        database.ensure_connection()

    monkeypatch.setattr("django.core.management.execute_from_command_line", asks)
    monkeypatch.setattr(sys, "argv", ["manage.py", "prepare"])
    with pytest.raises(SystemExit, match=r"^Postgres cannot be used \(DATABASE_URL\): ") as ended:
        runpy.run_path(str(ROOT / "manage.py"), run_name="__main__")
    assert said in str(ended.value)


@pytest.mark.django_db
def test_what_fails_on_a_connection_that_is_there_keeps_its_traceback(monkeypatch):
    def waits(_argv: list[str]) -> None:
        with connections["default"].cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 1; SELECT pg_sleep(1)")

    monkeypatch.setattr("django.core.management.execute_from_command_line", waits)
    monkeypatch.setattr(sys, "argv", ["manage.py", "prepare"])
    with pytest.raises(OperationalError, match="statement timeout"):
        runpy.run_path(str(ROOT / "manage.py"), run_name="__main__")


@pytest.mark.parametrize(
    ("url", "ids", "said"),
    [
        (None, [], ""),
        ("redis://127.0.0.1:1/0", ["console.W001", "console.E005"], "refused"),
        ("redis://:hush-hush@127.0.0.1:1/0", ["console.E005"], "refused"),
        ("unix://:hush-hush@{socket}", ["console.E005"], "password"),
    ],
)
def test_a_redis_that_is_away_refuses_us_or_takes_anybody_is_told(settings, url, ids, said):
    if url:
        settings.REDIS_URL = url.format(socket=services.STATE.redis_socket)
    found = checks.redis_answers()
    assert [each.id for each in found] == ids
    assert said in "".join(each.msg for each in found).lower()
    assert "hush" not in str(found)


@pytest.mark.django_db
def test_a_pooler_that_refuses_them_is_told_by_the_check_and_by_a_cluster(monkeypatch):
    with refusing_pooler() as port:
        asked = copy.deepcopy(connections.settings["default"])
        asked |= {"HOST": "127.0.0.1", "PORT": str(port), "USER": "a", "PASSWORD": "hunter2"}
        monkeypatch.setattr("console.checks.connections", {"other": DatabaseWrapper(asked, "other")})
        (error,) = takes_limits(databases=["other"])
        assert "pooler" in error.msg
        url = f"postgresql://a:hunter2@127.0.0.1:{port}/postgres"
        with pytest.raises(DataPlaneError) as caught, databases.connect(url):
            pass
        assert str(caught.value) == POOLER
        assert not isinstance(caught.value, DataPlaneUnreachable)


def test_a_cluster_behind_one_that_drops_them_misses_its_postgres():
    server = Server(180001, False, True, True, 300, 3, 40, pooled=True)
    check = postgres_verdicts.database(server)[0]
    assert (check.key, check.state, check.sentence) == ("postgres", "missing", POOLER)
