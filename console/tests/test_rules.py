"""Rules that a linter does not know: who may write rows."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WRITES = {
    "save",
    "create",
    "bulk_create",
    "update",
    "bulk_update",
    "delete",
    "get_or_create",
    "update_or_create",
}

# Dictionaries and digests that have an `update` of their own; routers of the API, which name a method.
NO_ROWS = {"attrs", "data", "digest", "fields", "router"}

# Nothing there reaches the console's rows: import contracts hold it for drivers and the embedded default.
NO_DATABASE = ("/tests/", "/bench/", "console/embedded/", "deployments/dataplane/")

# module: why it may write. Everybody else calls these.
WRITERS = {
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
    """Calls that may write rows, whatever they are called on: `X.objects….update(…)`, `rows.update(…)`,
    `workspace.deployments.create(…)`, `row.save(…)`; but not those of the dictionaries in NO_ROWS."""
    return [f"{path.relative_to(ROOT)}:{line} {source}" for line, source in writing_calls(path.read_text())]


def writing_calls(text: str) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
            source = ast.unparse(node.func)
            if source.split(".")[-2] not in NO_ROWS:
                found.append((node.lineno, source[:80]))
    return found


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
    ],
)
def test_every_way_to_write_a_row_is_seen(text):
    assert writing_calls(text)


def test_a_form_s_dictionaries_are_not_taken_for_rows():
    assert writing_calls("self.fields.update(a)\nfield.widget.attrs.update(b)") == []


def test_the_list_of_writers_names_no_module_that_is_gone():
    assert [name for name in WRITERS if not (ROOT / name).exists()] == []
