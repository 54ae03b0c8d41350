"""The launcher's side: asks the warm parent for a process that takes this program's place, within two seconds.

It runs in `launch.py`, before anything else is there: standard library only, and little of it. Whatever fails before
supervisord has adopted the new process, that process is ended and the caller starts the program cold.

1. Connect to the parent's socket, and look who it is. 2. Send it our standard streams, one end of a channel and a
proof: it forks. 3. The child names its pid; it gets its settings from us, over the channel, so that the parent never
holds a secret. 4. It says that it holds them. 5. supervisord adopts it. 6. "go".
"""

import array
import contextlib
import json
import os
import select
import signal
import socket
import stat
import struct
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import IO, Any, NoReturn

PATIENCE = 2.0  # seconds in which a warm parent or its child must have got on
WARMING_SECONDS = 40.0  # and for how long one that still imports is waited for, as long as it gets on
BUSY_SECONDS = 10.0  # or one that has others to fork for first
BINDING_SECONDS = 1.0  # from the start of the parent's interpreter to its socket
LAUNCH_SECONDS = (
    0.5  # and before that to the note that it was started: with `make run` everything starts at once
)
# Time without a core does not count, up to this: an overloaded machine gains most by warm starts.
LOADED_SECONDS = 60.0
LONGEST_LINE = 4096
ADOPTION_SECONDS = 15.0  # supervisord does one thing at a time
UNSURE = 75  # the exit status when supervisord did not say which process it takes for the program's


class NotWarm(Exception):
    """Why the program has to be started cold, as a part of a sentence."""


def start(spec: Mapping[str, Any], noted: Callable[[int], None]) -> NoReturn:
    """Start the program of this spec from the warm parent and end this process. Raises NotWarm when it is not to be.

    `noted(pid)` is called once the program has become process `pid`, before it runs.
    """
    warm = spec["warm"]
    with contextlib.ExitStack() as stack:
        parent = stack.enter_context(_connect(warm))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        stack.enter_context(ours)
        with theirs, _proof(warm["proof"]) as proof:
            rights = array.array("i", [0, 1, 2, theirs.fileno(), proof.fileno()])
            request = json.dumps({"fence": spec.get("fence")}).encode()
            _try(lambda: parent.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]))
        child = _Child(ours, _peer(parent)[0], warm["ready"])
        pid = child.pid()
        with child.ended_unless_adopted(pid):
            child.send(json.dumps(spec))
            child.ready()
            _adopt(pid)
        try:
            with contextlib.suppress(
                OSError
            ):  # on a full disk it is taken for one that has not come so far yet
                noted(pid)
            child.send("go")
        finally:
            os._exit(0)  # whatever happens, this process is not the program any more


class _Child:
    """The channel to the forked process."""

    def __init__(self, channel: socket.socket, parent: int, ready_file: str) -> None:
        self._channel, self._parent, self._ready_file = channel, parent, ready_file
        self._received = b""
        self._pid = 0

    def pid(self) -> int:
        """The child's pid: the first that it says."""
        word = self._line("the warm parent")
        if not word.isdigit():
            raise NotWarm(word)
        self._pid = int(word)
        return self._pid

    def ready(self) -> None:
        """Returns once it holds its settings; its reason, when it cannot."""
        word = self._line("the process that was forked")
        if word != "ready":
            raise NotWarm(word)

    def send(self, text: str) -> None:
        """Send one message, its length first."""
        message = text.encode(errors="surrogateescape")
        self._channel.settimeout(PATIENCE)
        _try(lambda: self._channel.sendall(struct.pack("!I", len(message)) + message))

    @contextlib.contextmanager
    def ended_unless_adopted(self, pid: int) -> Any:
        """When what is done inside fails, the child is ended."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            raise

    def _line(self, who: str) -> str:
        """The next line from the channel. Raises NotWarm when it ends, or the parent makes no progress for PATIENCE
        seconds."""
        clock = _Clock(self._parent, self._pid, self._ready_file)
        while b"\n" not in self._received:
            if not select.select([self._channel], [], [], clock.left())[0]:
                if clock.out():
                    raise NotWarm(f"{who} did not answer")
                continue
            part = _try(lambda: self._channel.recv(LONGEST_LINE))
            if not part or len(self._received) > LONGEST_LINE:
                raise NotWarm(f"{who} ended")
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        return line.decode(errors="replace")


class _Clock:
    """PATIENCE, without the time in which we, the parent or the child only waited for a core; longer while the parent
    gets on, with its imports or with others that asked first."""

    def __init__(self, parent: int, child: int, ready_file: str) -> None:
        self._parent, self._child, self._ready_file = parent, child, ready_file
        self._begun = self._mark = time.monotonic()
        self._used, self._queued = self._times()

    def left(self) -> float:
        """Seconds until it is worth another look."""
        return max(0.05, min(0.5, self._mark + PATIENCE - time.monotonic()))

    def out(self) -> bool:
        """Whether waiting is over."""
        now = time.monotonic()
        used, queued = self._times()
        if queued - self._queued > 0.2:
            longest = LOADED_SECONDS
        elif used - self._used > 0.1:
            longest = BUSY_SECONDS if self._is_ready() else WARMING_SECONDS
        else:
            longest = 0.0
        if now - self._begun < longest:
            self._used, self._queued, self._mark = used, queued, now
        return now - self._mark >= PATIENCE

    def _is_ready(self) -> bool:
        try:
            with open(self._ready_file, encoding="ascii") as file:
                return file.read().strip() == str(self._parent)
        except OSError:
            return False

    def _times(self) -> tuple[float, float]:
        """Seconds on a core of the parent, and seconds that it, its child and we waited for one."""
        used, queued = _schedule(self._parent)
        return used, queued + _schedule(os.getpid())[1] + (_schedule(self._child)[1] if self._child else 0.0)


def _schedule(pid: int) -> tuple[float, float]:
    try:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
            used, queued, _ = file.read().split()
    except (OSError, ValueError):
        return 0.0, 0.0
    return int(used) / 1e9, int(queued) / 1e9


def _connect(warm: Mapping[str, Any]) -> socket.socket:
    """Connected to the parent, which is this user's, on a socket that no other user can have put there."""
    folder = (
        os.lstat(os.path.dirname(warm["socket"])) if os.path.isdir(os.path.dirname(warm["socket"])) else None
    )
    if folder is None or not stat.S_ISDIR(folder.st_mode):
        raise NotWarm("no warm parent runs")
    if folder.st_uid != os.getuid() or stat.S_IMODE(folder.st_mode) & 0o077:
        raise NotWarm("the folder of the warm parent's socket is not private")
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    channel.settimeout(PATIENCE)
    begun = time.monotonic()
    while True:
        try:
            channel.connect(warm["socket"])
            break
        except OSError as error:
            patience = BINDING_SECONDS if _starting(warm["started"]) else LAUNCH_SECONDS
            if time.monotonic() - begun > patience:
                channel.close()
                raise NotWarm(f"no warm parent runs ({error.strerror})") from None
            time.sleep(0.02)
    if _peer(channel)[1] != os.getuid():
        channel.close()
        raise NotWarm("the warm parent is another user's")
    return channel


def _proof(path: str) -> IO[bytes]:
    """What shows the parent that no fence is around us: its own file, open for writing. A word would stay in its
    memory, which is that of every process that it forks."""
    try:
        return open(path, "r+b", buffering=0)
    except OSError as error:
        raise NotWarm(f"no warm parent runs ({error.strerror})") from None


def _starting(note: str) -> bool:
    """Whether the parent's process lives, and so is about to bind its socket."""
    try:
        with open(note, encoding="utf-8") as file:
            os.kill(int(json.load(file)["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def _peer(channel: socket.socket) -> tuple[int, int]:
    """The pid and the user of who listens at the other end."""
    pid, uid, _ = struct.unpack("3i", channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid


def _adopt(pid: int) -> None:
    """Have supervisord take `pid` for this program's process. Written out: the libraries for it take longer to import
    than everything else here."""
    server = os.environ.get("SUPERVISOR_SERVER_URL", "")
    group, program = os.environ.get("SUPERVISOR_GROUP_NAME"), os.environ.get("SUPERVISOR_PROCESS_NAME")
    if not server.startswith("unix://") or not group or not program:
        raise NotWarm("supervisord did not start this")
    values = (f"<string>{group}:{program}</string>", f"<int>{os.getpid()}</int>", f"<int>{pid}</int>")
    parameters = "".join(f"<param><value>{value}</value></param>" for value in values)
    call = f"<methodName>airdeck.adopt</methodName><params>{parameters}</params>"
    body = f"<?xml version='1.0'?><methodCall>{call}</methodCall>"
    path = server.removeprefix("unix://")
    head = (
        f"POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nAuthorization: {_authorization(path)}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(ADOPTION_SECONDS)
        _try(lambda: channel.connect(path))
        try:
            channel.sendall((head + body).encode())
            answer = b""
            while b"</methodResponse>" not in answer and b" 500 " not in answer[:20]:
                part = channel.recv(65536)
                if not part:
                    raise OSError
                answer += part
        except OSError:
            # Cold, this process might be a second one beside the adopted. Both end, and supervisord starts one.
            os.kill(pid, signal.SIGKILL)
            os._exit(UNSURE)
    if b"<boolean>1</boolean>" not in answer or b"<fault>" in answer:
        raise NotWarm("supervisord did not take it over")


def _authorization(server: str) -> str:
    """What supervisord asks for; the file lies beside its socket (`state_dir.PASSWORD_NAME`)."""
    with open(f"{os.path.dirname(server)}/supervisor_password", encoding="ascii") as file:
        return f"Basic {b64encode(f'airdeck:{file.read()}'.encode()).decode()}"


def _try[T](call: Callable[[], T]) -> T:
    try:
        return call()
    except OSError as error:
        raise NotWarm(error.strerror or "no answer in time") from None
