"""What a web process may import, asked of Python itself."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Rights are named once, for all apps.
PERMISSIONS = ("_DEPLOYMENT", "_deployment")

CODE = """
import json, sys
import console.asgi
from django.urls import get_resolver

def load(resolver):
    for pattern in resolver.url_patterns:
        if hasattr(pattern, "url_patterns"):
            load(pattern)

load(get_resolver())
print(json.dumps(sorted(sys.modules)))
"""


def imported(**environment: str) -> set[str]:
    """Every module of a process that has loaded the ASGI application and every page."""
    env = {**os.environ, "PROCESS_ROLE": "web", "EMBEDDED": "false", **environment}
    done = subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.thorough
def test_a_web_process_imports_no_reconciler_and_no_driver():
    modules = imported()
    assert "deployments.pages.overview" in modules
    strays = [
        name
        for name in modules
        if name.startswith("deployments.reconciler")
        or (
            name.startswith(("deployments.dataplane.local", "deployments.dataplane.kubernetes"))
            and name.endswith((".driver", ".steps", ".health", ".watch", ".supervisor"))
        )
        or name.split(".")[0] in {"supervisor", "kubernetes"}
    ]
    assert strays == []


def test_tenancy_names_nothing_of_deployments():
    strays = []
    for path in (ROOT / "workspaces").rglob("*.py"):
        if "/tests/" in str(path):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "module", None)]
            names += [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
                names.append(node.value)
            strays += [
                f"{path.name}:{node.lineno} {name}" for name in names if name and "deployment" in name.lower()
            ]
    assert [stray for stray in strays if not stray.endswith(PERMISSIONS)] == []


@pytest.mark.parametrize("app", ["deployments", "workspaces"])
def test_folders_of_tests_are_named_after_rooms(app):
    """Beside `browser`, for what starts a Chromium."""
    rooms = {path.name for path in (ROOT / app).iterdir() if path.is_dir()} | {"browser"}
    tests = {
        path.relative_to(ROOT / app / "tests").parts[0]
        for path in (ROOT / app / "tests").rglob("*/test_*.py")
    }
    assert tests - rooms == set()
