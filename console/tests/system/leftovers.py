"""What must not be left of a Deployment that was deleted, for tests of a whole console."""

import psutil
import psycopg

from console.embedded import postgres, process_table
from console.tests.system.installation import Installation


def assert_nothing_is_left_of(release: str, it: Installation) -> None:
    """No process, no file, no database, no role."""
    name = f"d_{release.replace('-', '_')}"
    assert not it.state.deployment(release).exists()
    with psycopg.connect(postgres.url(it.state, "postgres")) as server:
        assert not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        assert not server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    assert not [p for p in it.supervisor.processes() if p.group.startswith(release)]
    assert not [p for p in process_table.processes(it.state.root) if tagged(p.pid, release)]


def tagged(pid: int, release: str) -> bool:
    try:
        return psutil.Process(pid).environ().get("AIRDECK_DEPLOYMENT") == release
    except psutil.Error:
        return False


def tagged_state(process: psutil.Process, it: Installation) -> bool:
    try:
        return process.environ().get("AIRDECK_STATE") == str(it.state.root)
    except psutil.Error:
        return False
