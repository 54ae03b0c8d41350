"""The warm parent of one runtime: imports Airflow once and forks a process for each program that asks.

Runs in the runtime's own interpreter, under supervisord: `python parent.py SOCKET PROOF READY IDLE_SECONDS ROOM`.
It holds no secret and nothing of any Deployment, and never runs a program's code itself. It ends when nothing forked
from it has lived for IDLE_SECONDS, or when its runtime has been replaced.
"""

import array
import contextlib
import fcntl
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import NoReturn

PROJECT = __file__.rpartition("/deployments/")[0]
SEARCH = [*sys.path[1:]]
sys.path[0] = PROJECT

from deployments.dataplane.local.warm import child as forked  # noqa: E402
from deployments.dataplane.local.warm.preload import Unfit, preload  # noqa: E402
from deployments.dataplane.local.warm.recording import Readings  # noqa: E402

ASKING_SECONDS = 1.0  # a launcher sends its request right after it has connected


def main(
    socket_path: str, proof_file: str, ready_file: str, idle_seconds: float
) -> "tuple[forked.Child, list[str]] | None":
    """Serve. Returns in the parent with None when it is to end, in each child with what it has to become."""
    ready, home = Path(ready_file), os.path.realpath(os.path.dirname(sys.executable))
    ready.unlink(missing_ok=True)
    Path(proof_file).touch(mode=0o600)
    listener = _listen(socket_path)
    signal.signal(signal.SIGTERM, _end)
    _forget_ourselves()
    readings = preload()
    _name_ourselves()
    gc.collect()
    gc.freeze()
    gc.enable()
    ready.write_text(f"{os.getpid()}\n")
    print(f"warm parent: ready after {time.process_time():.1f} s of CPU", flush=True)
    alive: dict[int, int] = {}  # pidfd: pid
    try:
        while True:
            readable = _wait(listener, alive, None if alive else idle_seconds)
            if readable is None or os.path.realpath(os.path.dirname(sys.executable)) != home:
                return None
            for descriptor in readable & set(alive):
                del alive[descriptor]
                os.close(descriptor)
            if listener.fileno() in readable:
                made = _answer(listener, proof_file, readings, alive)
                if made is not None:
                    return made, SEARCH
    finally:
        if os.getpid() == PARENT:
            listener.close()
            ready.unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(socket_path)


PARENT = os.getpid()


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _listen(socket_path: str) -> socket.socket:
    """The socket is there before the imports: a program that asks in the meantime waits in its queue."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(socket_path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(socket_path)
    listener.listen(256)
    return listener


def _forget_ourselves() -> None:
    """A module of the Deployment's may be called as ours are."""
    sys.path[:] = SEARCH
    for name in [name for name in sys.modules if name.partition(".")[0] == "deployments"]:
        del sys.modules[name]


def _name_ourselves() -> None:
    """For `ps`; and so that the library finds its memory before a child shows other arguments there. The first fifteen
    letters become the process's short name, in which Python expects no space when it counts threads before a fork."""
    with contextlib.suppress(ImportError):
        import_module("setproctitle").setproctitle("airdeck-warm-parent of Airflow")


def _wait(listener: socket.socket, alive: dict[int, int], seconds: float | None) -> set[int] | None:
    """The descriptors that have news; None after `seconds` without any. Costs nothing in the meantime."""
    poll = select.poll()
    for descriptor in (listener.fileno(), *alive):
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(None if seconds is None else seconds * 1000)} or None


def _answer(
    listener: socket.socket, proof_file: str, readings: Readings, alive: dict[int, int]
) -> forked.Child | None:
    """Fork for one launcher. None in the parent, also when the request was none."""
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(ASKING_SECONDS)
        _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        descriptors: list[int] = []
        try:
            request, descriptors = _request(connection)
            if uid != os.getuid() or len(descriptors) != 5 or not isinstance(request, dict):
                return None
            if not _proves(descriptors[4], proof_file):
                print("warm parent: refused a process that may not ask", flush=True)
                return None
            pid = _fork()
            if pid == 0:
                *streams, channel, _ = descriptors
                descriptors = []
                return forked.Child(request, streams, channel, readings)
            if pid > 0:
                with contextlib.suppress(OSError):
                    alive[os.pidfd_open(pid)] = pid
        except (OSError, ValueError) as error:
            print(f"warm parent: refused a launcher ({error})", flush=True)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
    return None


def _proves(descriptor: int, proof_file: str) -> bool:
    """Whether it is our file, open for writing. Who is fenced can name the file (O_PATH), and cannot open it."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    if flags & os.O_PATH or flags & os.O_ACCMODE != os.O_RDWR:
        return False
    return os.path.samestat(os.fstat(descriptor), os.lstat(proof_file))


def _request(connection: socket.socket) -> tuple[object, list[int]]:
    """The message and its descriptors."""
    rights = array.array("i")
    message, ancillary, _, _ = connection.recvmsg(
        65536, socket.CMSG_SPACE(8 * rights.itemsize), socket.MSG_CMSG_CLOEXEC
    )
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            rights.frombytes(data[: len(data) - len(data) % rights.itemsize])
    try:
        return json.loads(message), list(rights)
    except ValueError:
        return None, list(rights)


def _fork() -> int:
    """Fork twice, so that supervisord, which reaps orphans, becomes the parent. 0 in the grandchild, its pid here; -1
    when it could not be made."""
    reader, writer = os.pipe()
    between = os.fork()
    if between == 0:
        own = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            os._exit(1)
        if pid == 0:
            while os.getppid() == own:  # until supervisord is its parent, it may not be asked to adopt it
                time.sleep(0.001)
            return 0
        os.write(writer, struct.pack("!I", pid))
        os._exit(0)
    os.close(writer)
    answer = os.read(reader, 4)
    os.close(reader)
    os.waitpid(between, 0)
    return int(struct.unpack("!I", answer)[0]) if len(answer) == 4 else -1


if __name__ == "__main__":
    try:
        made = main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))
    except Unfit as unfit:
        print(f"warm parent: cannot be used, {unfit}", flush=True)
        sys.exit(2)
    if made is None:
        sys.exit(0)
    spec = made[0].become(made[1])
    del made
    forked.run(spec)
