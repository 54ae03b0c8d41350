"""What supervisord runs for the console itself, and with which environment.

Secrets are handed over by file name (`*_FILE`), so neither an argument list nor an environment holds one.
"""

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from console.embedded import elsewhere, postgres, redis_server
from console.embedded.preflight import StartPlan
from console.embedded.process_table import TAG
from console.installer import reach as index
from console.kit.files import write_private
from console.processes import ROLES
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import SupervisedProgram, render_main

BASE = Path(__file__).resolve().parent.parent.parent
# The exit code of `manage.py bootstrap` when it migrated or collected static files.
BOOTSTRAP_CHANGED = 3


def environment(plan: StartPlan, environ: Mapping[str, str]) -> dict[str, str]:
    """What supervisord, and so every program of the console, inherits: the person's environment and ours."""
    ours = {
        TAG: str(plan.state.root),
        "PORT": str(plan.port),
        "DJANGO_SETTINGS_MODULE": "console.settings",
        "PYTHONUNBUFFERED": "1",
    }
    withheld = {"SECRET_KEY", "ENCRYPTION_KEYS", "PYTHONPATH", "PYTHONHOME", "FAILPOINTS"}
    withheld |= elsewhere.of_another_postgres(environ)
    kept = {name: value for name, value in environ.items() if name not in withheld}
    return kept | index.for_uv(kept) | ours | reach(plan.state)


def reach(state: StateDir) -> dict[str, str]:
    """How a process finds this state folder's console: its Postgres, its Redis, its keys."""
    files = {
        "SECRET_KEY_FILE": state.keys / "secret_key",
        "ENCRYPTION_KEYS_FILE": state.keys / "encryption_keys",
        "DATABASE_URL_FILE": state.run_dir / "database_url",
        "REDIS_URL_FILE": state.run_dir / "redis_url",
    }
    return {
        "EMBEDDED": "1",
        "STATE_DIR": str(state.root),
        **{name: str(path) for name, path in files.items()},
    }


def configure(plan: StartPlan) -> None:
    """Write every file that the programs read, supervisord's configuration last."""
    state = plan.state
    write_private(state.run_dir / "database_url", postgres.prepare(state))
    write_private(state.run_dir / "redis_url", redis_server.prepare(state))
    password = secrets.token_urlsafe(32)
    write_private(state.supervisor_password, password)
    write_private(state.supervisor_config, render_main(state, programs(plan), password))


def programs(plan: StartPlan) -> list[SupervisedProgram]:
    """Postgres and Redis, which start at once, and the console's own four, which `up` starts later."""
    state = plan.state
    clean = ("/usr/bin/env", "-i", f"{TAG}={state.root}", f"PATH={os.defpath}", "LC_ALL=C")
    return [
        postgres.program(state, clean),
        redis_server.program(state, plan.redis_binary, clean),
        _own(state, "web", f"--host={plan.host}", f"--port={plan.port}"),
        _own(state, "worker", group=False),
        _own(state, "beat"),
        _own(state, "observer"),
    ]


def _settings(role: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Its role and, where METRICS_PORT is set, the port of its metrics: that one is web's, and the others follow."""
    port = environ.get("METRICS_PORT", "").strip()
    counts = port.isdigit() and int(port) > 0
    own = (f"METRICS_PORT={int(port) + list(ROLES).index(role)}",) if counts else ()
    return (f"PROCESS_ROLE={role}", *own)


def _own(state: StateDir, role: str, *arguments: str, group: bool = True) -> SupervisedProgram:
    """One of the console's processes. A warm shutdown of Celery wants TERM for the main process alone."""
    return SupervisedProgram(
        name=role,
        argv=("/usr/bin/env", *_settings(role, os.environ), sys.executable, *ROLES[role], *arguments),
        directory=BASE,
        log=state.logs / f"{role}.log",
        autostart=False,
        priority=20,
        stopasgroup=group,
        startretries=1000,  # with supervisord's growing pauses: a console that gives up helps no one
    )
