"""A pooler in place of Postgres is refused in words, for the console and for clusters."""

import copy

import pytest
from django.core.checks import Tags, run_checks
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper

from console.checks import takes_limits
from console.tests.pooler import refusing_pooler
from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable
from deployments.dataplane.kubernetes.checks import postgres_verdicts
from deployments.dataplane.kubernetes.checks.postgres_verdicts import Server
from deployments.dataplane.postgres import databases
from deployments.dataplane.postgres.server_url import POOLER


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
