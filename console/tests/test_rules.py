"""Rules that a linter does not know: who may write rows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps

ROOT = Path(__file__).resolve().parents[2]
ONE_BY_ONE = {
    "save",
    "create",
    "bulk_create",
    "update",
    "bulk_update",
    "delete",
    "get_or_create",
    "update_or_create",
}
WRITES = ONE_BY_ONE | {f"a{name}" for name in ONE_BY_ONE}
# Of the managers of related rows, beside the above. What else has them is a set, a list or a dictionary.
RELATED = {"add", "set", "remove", "clear", "aadd", "aset", "aremove", "aclear"}
SQL = re.compile(
    r"\s*(INSERT\s+INTO|UPDATE\s+\S+\s+SET|DELETE\s+FROM|TRUNCATE|MERGE\s+INTO|COPY\s+\S+\s+FROM)\b", re.I
)

# Dictionaries and digests that have an `update` of their own; routers of the API, which name a method.
NO_ROWS = {"attrs", "data", "digest", "fields", "router"}

# Drivers and the embedded default know no rows, which import contracts hold. Tests and measurements make rows as they
# need them, in databases of their own.
NO_DATABASE = ("/tests/", "/bench/", "console/embedded/", "deployments/dataplane/")

# module: why it may write. All other modules call these.
WRITERS = {
    "console/backup/tables.py": "what a restore brings back",
    "workspaces/models/users.py": "the user manager",
    "workspaces/models/audit_events.py": "the append-only guard of audit events",
    "workspaces/actions/": "people's and operators' writes",
    "workspaces/audit.py": "audit events",
    "workspaces/tasks.py": "whether a mail was sent",
    "workspaces/token_access.py": "when a token was last used",
    "workspaces/migrations": "migrations",
    "deployments/migrations": "migrations",
    "deployments/actions/": "people's and operators' writes",
    "deployments/workspace_hooks.py": "what goes with a deleted Workspace",
    "deployments/reconciler/": "observed state, leases, and how an upgrade ends",
    "deployments/secrets/": "generated secrets, key rotation, drafts of an import",
    "deployments/clusters/catalogue.py": "what ships",
    "deployments/clusters/connections.py": "the embedded cluster's row",
    "deployments/clusters/checks.py": "what was found out about a cluster",
}


def writes(path: Path) -> list[str]:
    """What may write rows: the calls of `writing_calls`, and SQL that writes."""
    tree = ast.parse(path.read_text())
    found = [*writing_calls(tree), *writing_sql(tree)]
    return [f"{path.relative_to(ROOT)}:{line} {source}" for line, source in found]


def writing_calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Calls that may write rows, whatever they are called on: `X.objects….update(…)`, `rows.update(…)`,
    `workspace.deployments.create(…)`, `row.save(…)`, `await row.asave(…)`, `cluster.workspaces.set(…)`; but not those
    of the dictionaries in NO_ROWS, nor `members.remove(…)` of a module that is imported."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    managers = related_managers() - {name.asname or name.name for node in imports for name in node.names}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        source = ast.unparse(node.func)
        on, called = source.split(".")[-2], node.func.attr
        if (called in WRITES and on not in NO_ROWS) or (called in RELATED and on in managers):
            yield node.lineno, source[:80]


def writing_sql(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Texts that are statements which write, also the first part of an f-string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value):
            yield node.lineno, node.value.strip()[:80]


def related_managers() -> set[str]:
    """The names by which rows lead to related ones: `cluster.workspaces`, `deployment.variables`."""
    models = [
        *apps.get_app_config("deployments").get_models(),
        *apps.get_app_config("workspaces").get_models(),
    ]
    forward = {field.name for model in models for field in model._meta.many_to_many}
    back = {
        each.get_accessor_name()
        for model in models
        for each in model._meta.related_objects
        if not each.one_to_one
    }
    return forward | back


def test_rows_are_written_by_the_writers_alone():
    strays = []
    for app in ("console", "workspaces", "deployments"):
        for path in (ROOT / app).rglob("*.py"):
            place = str(path.relative_to(ROOT))
            if any(part in place for part in NO_DATABASE) or any(place.startswith(w) for w in WRITERS):
                continue
            strays += writes(path)
    assert strays == [], "call an action, or say in WRITERS why this module may write"


@pytest.mark.parametrize(
    "text",
    [
        "Deployment.objects.filter(pk=1).update(name='x')",
        "rows.update(name='x')",
        "deployment.variables.create(key='A')",
        "row.queues.all().delete()",
        "deployment.queues.bulk_create([])",
        "row.save(update_fields=['name'])",
        "async def f(): await row.asave()",
        "async def f(): await Deployment.objects.filter(pk=1).aupdate(name='x')",
        "cluster.workspaces.set([])",
        "rule.channels.add(channel)",
        "deployment.queues.clear()",
        "cursor.execute('UPDATE deployments_cluster SET name = %s', ['x'])",
        "cursor.execute(f'  DELETE FROM {table}')",
        'WRITE = """\nINSERT INTO deployments_dag (id) VALUES (1)"""',
    ],
)
def test_every_way_to_write_a_row_is_seen(text):
    tree = ast.parse(text)
    assert [*writing_calls(tree), *writing_sql(tree)]


@pytest.mark.parametrize(
    "text",
    [
        "self.fields.update(a)",
        "field.widget.attrs.update(b)",
        "seen.add(1)",
        "self.known.clear()",
        "from workspaces.actions import members\nmembers.remove(user_id=1)",
        "'Update the cluster. Delete from the list what is gone.'",
    ],
)
def test_sets_dictionaries_and_prose_are_not_taken_for_rows(text):
    tree = ast.parse(text)
    assert [*writing_calls(tree), *writing_sql(tree)] == []


def test_the_list_of_writers_names_no_module_that_is_gone():
    assert [name for name in WRITERS if not (ROOT / name).exists()] == []
