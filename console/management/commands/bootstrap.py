"""What every start of the embedded default prepares, in one process that imports Django once."""

import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from psycopg import sql

from console.embedded import postgres, redis_server
from console.embedded.programs import BOOTSTRAP_CHANGED
from console.management.migration_lock import MIGRATION_LOCK
from deployments.clusters import catalogue, connections
from deployments.dataplane.local.fence import ways
from deployments.dataplane.local.state_dir import StateDir
from deployments.reconciler import recording
from deployments.secrets import rotation

POSTGRES_SECONDS = 60.0  # in which a Postgres that lives has said something
# "… starting up", "… not yet accepting connections": after a power cut it replays its log. What is stopped in this
# begins again with the next start, so it is waited for; `up` says for how long.
AT_WORK = "the database system is"


class Command(BaseCommand):
    """Run by `manage.py up` while Postgres starts."""

    help = "Prepare the embedded default: database, migrations, catalogue, static files. `up` runs it."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Each step does nothing where nothing is to be done."""
        if not settings.EMBEDDED:
            raise CommandError("This command prepares the embedded default only; `manage.py up` runs it.")
        state = StateDir(settings.STATE_DIR)
        redis = redis_server.find_binary()
        if redis is None:
            raise CommandError("No redis-server or valkey-server was found.")
        admin_url = postgres.url(state, database="postgres")
        with _connect(admin_url) as admin:
            _ensure_database(admin)
            admin.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])  # until this connection ends
            changed = _migrate()
        cluster = connections.ensure_embedded(
            database_url=admin_url,
            settings={
                "state_dir": str(state.root),
                "supervisor_socket": str(state.supervisor_socket),
                "redis_server": str(redis),
                "console_port": str(settings.PORT),
                "warm_starts": "true" if settings.WARM_STARTS else "false",
                "task_log_days": str(settings.TASK_LOG_DAYS),
                "task_log_mib": str(settings.TASK_LOG_MIB),
                "fence": "true" if settings.FENCE else "false",
                "fence_folders": os.pathsep.join(settings.FENCE_FOLDERS),
            },
            checks=[_isolation(state, redis)],
        )
        catalogue.apply()
        recording.mark_all_restarted(cluster)
        if len(settings.ENCRYPTION_KEYS) > 1:
            rotation.rotate_all()  # a new key was put before the old ones
        if _collect_static() or changed:
            sys.exit(BOOTSTRAP_CHANGED)


def _isolation(state: StateDir, redis: Path) -> dict[str, str]:
    """What keeps the code of Deployments apart, as a line of the cluster's page."""
    found = ways.find(state.root, Path(sys.executable), redis, switched_on=settings.FENCE)
    state_of_it = "ok" if found.whole else "warning"
    return {"key": "isolation", "title": "Isolation", "state": state_of_it, "sentence": found.sentence}


def _connect(url: str) -> psycopg.Connection:
    """A connection to Postgres once it takes one."""
    deadline = time.monotonic() + POSTGRES_SECONDS
    while True:
        try:
            return psycopg.connect(url, autocommit=True, connect_timeout=3)
        except psycopg.OperationalError as error:
            if AT_WORK in str(error):
                deadline = time.monotonic() + POSTGRES_SECONDS
            if time.monotonic() > deadline:
                raise CommandError(
                    f"Postgres did not answer within {POSTGRES_SECONDS:.0f} seconds."
                ) from error
            time.sleep(0.05)


def _ensure_database(admin: psycopg.Connection) -> None:
    """The console's database; no role but its owner may connect to it, nor to Postgres's own."""
    name = sql.Identifier(postgres.DATABASE)
    if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [postgres.DATABASE]).fetchone():
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
    for database in (name, sql.Identifier("postgres"), sql.Identifier("template1")):
        admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))


def _migrate() -> bool:
    """Apply what is pending; whether anything was."""
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")  # a migration may take longer than a page may
        call_command("migrate", interactive=False, verbosity=0)
    return bool(pending)


def _collect_static() -> bool:
    """Collect, which takes seconds, when a file changed since the last time; whether one did."""
    digest = _fingerprint()
    stamp = Path(settings.STATIC_ROOT) / ".collected"
    if stamp.exists() and stamp.read_text() == digest:
        return False
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    stamp.write_text(digest)
    return True


def _fingerprint() -> str:
    """Of the paths and contents of all static files, in whatever order they are found. Their times say nothing: the
    bundles are written again by every process that looks for them (`console/kit/bundles.py`)."""
    lines = sorted(
        f"{path} {hashlib.sha256(Path(storage.path(path)).read_bytes()).hexdigest()}\n"
        for finder in get_finders()
        for path, storage in finder.list([])
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()
