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
    "workspaces/actions.py": "people's writes",
    "workspaces/members.py": "people's writes",
    "workspaces/invitations.py": "people's writes",
    "workspaces/audit.py": "audit events",
    "workspaces/migrations": "migrations",
    "deployments/actions": "people's writes",
    "deployments/operator_actions.py": "operators' writes",
    "deployments/registration.py": "operators' writes",
    "deployments/catalogue_actions.py": "operators' writes",
    "deployments/checking.py": "what was found out about a cluster",
    "workspaces/operator_actions.py": "operators' writes",
    "deployments/tenancy.py": "what goes with a deleted Workspace",
    "deployments/status.py": "observed state",
    "deployments/steps.py": "observed state, called by status",
    "deployments/upgrades.py": "how an upgrade ends, called by status",
    "deployments/stalled.py": "how long steps took, called by status",
    "deployments/leases.py": "claims",
    "deployments/trials.py": "who tries a cluster that did not answer",
    "deployments/vault.py": "generated secrets, called by actions and status",
    "deployments/rotation.py": "key rotation",
    "deployments/catalogue.py": "what ships",
    "deployments/clusters.py": "the embedded cluster's row",
    "deployments/observer.py": "the cluster's heartbeat",
    "deployments/leadership.py": "who watches a cluster",
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
