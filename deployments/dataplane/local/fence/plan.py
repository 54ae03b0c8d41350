"""What the programs of one Deployment may reach, as the document that `confine` applies. Pure but for links."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

# Servers that tasks start may listen on any free port (0), and on these; never where a console or another API server
# would be expected.
SERVERS = (8000, 8999)


def fence(
    folder: Path,
    *,
    uid: int | None,
    groups: Sequence[int],
    landlock: bool,
    sockets: Path,
    programs: Sequence[Path],
    shared: Sequence[str],
    port: int,
    console_port: int,
) -> Mapping[str, object]:
    """For the Deployment whose folder is `folder` and whose sockets lie in `sockets`. `programs` are files and folders
    that it runs (its Python, its Redis), `shared` those that FENCE_FOLDERS names.

    Not reached: specs, which say how it is started, and the upgrade, which runs with the console's rights.
    """
    own = ("home", "dags", "plugins", "tmp", "redis", "logs/tasks", "logs/dags")
    return {
        "uid": uid,
        "groups": list(groups),
        "landlock": landlock,
        "read": [
            *sorted(map(str, programs)),
            *(str(folder / name) for name in ("code", "config", "secrets", "component.py")),
        ],
        "write": [*(str(folder / name) for name in own), str(sockets), *shared],
        "listen": [[0, 0], [port, port], *_around(console_port)],
    }


def _around(port: int) -> list[list[int]]:
    first, last = SERVERS
    if not first <= port <= last:
        return [[first, last]]
    return [part for part in ([first, port - 1], [port + 1, last]) if part[0] <= part[1]]


def interpreter(python: Path) -> list[Path]:
    """The folder of the environment of `python`; and of the Python on which it was made, which may lie in a home, its
    programs and its library alone."""
    environment = Path(os.path.realpath(python.parent.parent))
    real = Path(os.path.realpath(python))
    return [environment, *real.parent.glob("python*"), real.parent.parent / "lib", real]
