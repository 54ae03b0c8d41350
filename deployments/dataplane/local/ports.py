"""Ports of API servers on 127.0.0.1: allotted once per Deployment, without races, and looked up by the proxy.

A port belongs to the Deployment whose name stands in `ports/<number>`, a file made with O_EXCL. The
Deployment's own file `port` is what the proxy reads.
"""

import os
import socket
import zlib
from pathlib import Path

from console.kit.files import write_private
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local.state_dir import StateDir
from deployments.domain.names import RELEASE_NAME

FIRST, LAST = 20_000, 29_999  # below the ephemeral ranges of Linux (32768) and macOS (49152)


def upstream(state_dir: Path, release_name: str) -> int | None:
    """The port at which the Deployment's API server listens, or None when it has none. Reads one small
    file."""
    if not RELEASE_NAME.fullmatch(release_name):
        return None
    try:
        return int((state_dir / "deployments" / release_name / "port").read_text())
    except (OSError, ValueError):
        return None


def allot(paths: StateDir, release_name: str, *, avoid: int | None = None) -> int:
    """The Deployment's port; a new one when it has none, or when it is `avoid` (a stranger took it)."""
    held = upstream(paths.root, release_name)
    if held is not None and held != avoid and _claim(paths, held, release_name):
        return held
    start = FIRST + zlib.crc32(release_name.encode()) % (LAST - FIRST + 1)
    candidates: list[int] = [*range(start, LAST + 1), *range(FIRST, start)]
    for candidate in candidates:
        if candidate != avoid and bindable(candidate) and _claim(paths, candidate, release_name):
            write_private(paths.deployment(release_name) / "port", str(candidate))
            if held is not None and held != candidate:
                _release(paths, held, release_name)
            return candidate
    raise DataPlaneError(f"No port between {FIRST} and {LAST} is free on this machine. End some programs.")


def release_all(paths: StateDir, release_name: str) -> None:
    """Give back every port that stands in this Deployment's name."""
    for file in paths.ports.iterdir():
        if file.name.isdigit():
            _release(paths, int(file.name), release_name)


def bindable(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _claim(paths: StateDir, port: int, release_name: str) -> bool:
    """Whether the port stands in this Deployment's name, now or already."""
    file = paths.ports / str(port)
    draft = paths.ports / f".{port}.{os.getpid()}.{release_name}"
    draft.write_text(release_name)
    try:
        # A link appears with its content or not at all; open(O_EXCL) could be killed before it is written.
        os.link(draft, file)
    except FileExistsError:
        try:
            return file.read_text() == release_name
        except FileNotFoundError:
            return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def _release(paths: StateDir, port: int, release_name: str) -> None:
    file = paths.ports / str(port)
    try:
        if file.read_text() == release_name:
            file.unlink()
    except FileNotFoundError:
        pass
