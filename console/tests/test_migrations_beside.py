"""Processes of the version before go on beside new ones for the minute of an update: what they write fits the tables.

A clone need not have the history that running the version before would take. So this compares what both versions know
of their tables, column by column. What it cannot see, such as rows whose meaning changed, is for the author of a
migration to think of; a migration that runs code of its own needs a line in ALLOWED.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import connection, models
from django.db.migrations import Migration, RunPython, RunSQL
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, ProjectState

APPS = ("deployments", "workspaces")
# The last migration of each app in the version that people run today. Raise it with each version in CHANGELOG.md. Until
# 0.1.0 is released there is no version before it, so it is raised with each migration.
BEFORE = {"deployments": "0019_same_code", "workspaces": "0009_api_tokens"}
# A finding: why the processes of the version before go on all the same.
ALLOWED: dict[str, str] = {}


def findings(before: Apps, after: Apps) -> Iterator[str]:
    """What stops code that knows `before` on tables of `after`."""
    tables = {model._meta.db_table: model for model in _models(after)}
    for old in _models(before):
        table = old._meta.db_table
        if table not in tables:
            yield f"{table} is gone"
            continue
        yield from _columns(table, _fields(old), _fields(tables[table]))
        known = {constraint.name for constraint in old._meta.constraints}
        yield from (
            f"{table} has a new constraint {constraint.name}"
            for constraint in tables[table]._meta.constraints
            if constraint.name not in known
        )


def _columns(table: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for name, field in old.items():
        if name not in new:
            yield f"{table}.{name} is gone"
            continue
        if field.null and not new[name].null:
            yield f"{table}.{name} takes no NULL any more"
        if not _fits(field, new[name]):
            yield f"{table}.{name} is another type: {_type(new[name])}, and was {_type(field)}"
        if new[name].unique and not field.unique:
            yield f"{table}.{name} is unique from now on"
    for name, field in new.items():
        if name not in old and not field.null and not field.has_db_default():
            yield f"{table}.{name} needs a value, and has no db_default"


def _fits(old: Any, new: Any) -> bool:
    if _type(old) == _type(new):
        return True
    longer = (new.max_length or 0) >= (old.max_length or 0)
    return longer and {_type(old).split("(")[0], _type(new).split("(")[0]} == {"varchar"}


def _type(field: Any) -> str:
    return str(field.db_type(connection))


def _fields(model: type[models.Model]) -> dict[str, Any]:
    return {field.column: field for field in model._meta.local_concrete_fields}


def _models(apps: Apps) -> Iterable[type[models.Model]]:
    """With the tables between two models."""
    return [model for model in apps.get_models(include_auto_created=True) if model._meta.app_label in APPS]


def later() -> list[Migration]:
    """Migrations after BEFORE, in order."""
    loader = MigrationLoader(None)
    old = set().union(*(loader.graph.forwards_plan(node) for node in BEFORE.items()))
    return [
        loader.get_migration(*node)
        for node in sorted(loader.disk_migrations)
        if node[0] in APPS and node not in old
    ]


def own_code(migrations: Iterable[Migration]) -> Iterator[str]:
    """Operations that nothing here can judge."""
    for migration in migrations:
        for operation in migration.operations:
            if isinstance(operation, RunPython | RunSQL):
                yield f"{migration.app_label} {migration.name} runs code of its own"


def test_processes_of_the_version_before_can_go_on_with_the_tables_of_this_one():
    loader = MigrationLoader(None)
    before = loader.project_state(list(BEFORE.items())).apps
    after = loader.project_state().apps
    found = {*findings(before, after), *own_code(later())}
    assert found - ALLOWED.keys() == set(), (
        "fix the migration (null=True or db_default for a new column; drop things one version later), or say in "
        "ALLOWED why the processes of the version before go on all the same"
    )
    assert ALLOWED.keys() - found == set(), "what is allowed there is not there any more"


def test_the_version_before_is_one_that_there_was():
    assert set(BEFORE.items()) <= set(MigrationLoader(None).disk_migrations)


# -- That it sees what it should --


def apps(*fields: tuple[str, models.Field], constraints: tuple[Any, ...] = (), name: str = "Row") -> Apps:
    state = ProjectState()
    identity = ("id", models.BigAutoField(primary_key=True))
    state.add_model(ModelState("deployments", name, [identity, *fields], {"constraints": list(constraints)}))
    return state.apps


NAME = ("name", models.CharField(max_length=10))
OPEN = ("name", models.CharField(max_length=10, null=True))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (apps(NAME), apps(), "name is gone"),
        (apps(NAME), apps(NAME, name="Other"), "deployments_row is gone"),
        (apps(), apps(NAME), "needs a value, and has no db_default"),
        (apps(OPEN), apps(NAME), "takes no NULL any more"),
        (apps(NAME), apps(("name", models.IntegerField())), "is another type"),
        (apps(NAME), apps(("name", models.CharField(max_length=9))), "is another type"),
        (apps(NAME), apps(("name", models.CharField(max_length=10, unique=True))), "is unique from now on"),
        (
            apps(NAME),
            apps(NAME, constraints=(models.CheckConstraint(condition=~models.Q(name=""), name="named"),)),
            "has a new constraint named",
        ),
    ],
)
def test_what_would_stop_the_version_before_is_found(before, after, words):
    (found,) = findings(before, after)
    assert words in found


@pytest.mark.parametrize(
    "after",
    [
        apps(NAME, ("size", models.IntegerField(null=True))),
        apps(NAME, ("size", models.IntegerField(db_default=0))),
        apps(("name", models.CharField(max_length=99))),
        apps(("name", models.CharField(max_length=10, choices=[("a", "A")], help_text="Now with words."))),
    ],
)
def test_what_only_adds_is_none(after):
    assert list(findings(apps(NAME), after)) == []


def test_code_that_a_migration_runs_is_found():
    migration = Migration("0099_words", "deployments")
    migration.operations = [RunSQL("SELECT 1")]
    assert list(own_code([migration])) == ["deployments 0099_words runs code of its own"]
