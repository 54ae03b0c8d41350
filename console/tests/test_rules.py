"""Rules that a linter does not know: who may write rows."""

import ast
from pathlib import Path

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

# module: why it may write. Everybody else calls these.
WRITERS = {
    "workspaces/models.py": "the user manager; the append-only guard of audit events",
    "workspaces/actions/": "people's and operators' writes",
    "workspaces/audit.py": "audit events",
    "workspaces/tasks.py": "whether a mail was sent",
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
    """Calls that look like a write of rows: `X.objects….update(…)`, `row.save(…)`."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
            source = ast.unparse(node.func)
            if ".objects" in source or node.func.attr == "save":
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {source[:80]}")
    return found


def test_rows_are_written_by_the_writers_alone():
    strays = []
    for app in ("console", "workspaces", "deployments"):
        for path in (ROOT / app).rglob("*.py"):
            place = str(path.relative_to(ROOT))
            if "/tests/" in place or "/bench/" in place or any(place.startswith(w) for w in WRITERS):
                continue
            strays += writes(path)
    assert strays == [], "call an action, or say in WRITERS why this module may write"


def test_the_list_of_writers_names_no_module_that_is_gone():
    assert [name for name in WRITERS if not (ROOT / name).exists()] == []
