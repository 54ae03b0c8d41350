"""supervisord: rendering its configuration (pure) and speaking to it over its 0700 Unix socket, with a password.

Programs run `launch.py` with a file name; nothing that a person typed ever reaches this configuration, and
every text goes through `_safe` all the same: a newline would start a program, a "%" would stop the daemon.
"""

import http.client
import re
import shlex
import socket
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from supervisor.xmlrpc import Faults, SupervisorTransport

from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable
from deployments.dataplane.local.state_dir import PASSWORD_NAME, StateDir, is_plain

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
USER = "airdeck"
RUNNING_STATES = ("STARTING", "RUNNING", "STOPPING")


@dataclass(frozen=True)
class SupervisedProgram:
    """One program of supervisord. Times are seconds; `log` rotates at 10 MB, three older files are kept."""

    name: str
    argv: tuple[str, ...]
    directory: Path
    log: Path
    autostart: bool = True
    autorestart: str = "true"  # "true", "false" or "unexpected"
    priority: int = 500  # lower starts first and stops last
    stopsignal: str = "TERM"
    stopwaitsecs: int = 10  # then SIGKILL
    stopasgroup: bool = True
    killasgroup: bool = True
    startsecs: int = 1
    startretries: int = 3
    user: str | None = None


def render_main(paths: StateDir, programs: Iterable[SupervisedProgram], password: str) -> str:
    """supervisord.conf: the daemon in the foreground, its socket, and `programs`, each a group of its own. What it
    returns holds the password."""
    server = {"file": paths.supervisor_socket, "chmod": "0700", "username": USER, "password": password}
    sections = [
        _section("unix_http_server", server),
        _section(
            "supervisord",
            {
                "nodaemon": "true",
                "silent": "true",
                "minfds": 1024,
                "logfile": paths.logs / "supervisord.log",
                "logfile_maxbytes": "10MB",
                "logfile_backups": 3,
                "pidfile": paths.supervisor_pid,
                "childlogdir": paths.logs,
                "directory": paths.root,
            },
        ),
        _section(
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
        # So that a component forked from a warm parent is supervised as any other.
        _section(
            "rpcinterface:airdeck",
            {"supervisor.rpcinterface_factory": "deployments.dataplane.local.warm.adoption:make"},
        ),
        *(_program_section(program.name, program) for program in programs),
        # Relative to this file, because supervisord splits the value at spaces. The literal is ours, so the
        # "*" that `_safe` refuses everywhere else stands here.
        "[include]\nfiles = groups/*.conf\n",
    ]
    return "\n".join(sections)


def render_group(name: str, programs: Iterable[SupervisedProgram], *, priority: int | None = None) -> str:
    """One file of groups/: the group `name` and its programs, whose full names are "<group>:<program>".

    When supervisord starts, groups with a lower `priority` start first; those without one are last.
    """
    listed = tuple(programs)
    if not listed:
        raise ValueError(f"The group {name!r} has no program.")
    # Section names are global in supervisord, so they carry the group's name.
    sections = {f"{_name(name)}.{_name(program.name)}": program for program in listed}
    values: dict[str, object] = {"programs": ",".join(sections)}
    head = _section(f"group:{name}", values if priority is None else values | {"priority": priority})
    return "\n".join([head, *(_program_section(key, program) for key, program in sections.items())])


def _program_section(key: str, program: SupervisedProgram) -> str:
    values: dict[str, object] = {
        "process_name": _name(program.name),
        "command": _command(program.argv),
        "directory": program.directory,
        "autostart": _flag(program.autostart),
        "autorestart": program.autorestart,
        "priority": program.priority,
        "stopsignal": program.stopsignal,
        "stopwaitsecs": program.stopwaitsecs,
        "stopasgroup": _flag(program.stopasgroup),
        "killasgroup": _flag(program.killasgroup),
        "startsecs": program.startsecs,
        "startretries": program.startretries,
        "stdout_logfile": program.log,
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": 3,
        "redirect_stderr": "true",
    }
    if program.user is not None:
        values["user"] = program.user
    return _section(f"program:{_name(key)}", values)


def _section(title: str, values: dict[str, object]) -> str:
    lines = [f"[{_safe(title)}]"]
    # The command was checked argument by argument before it was quoted.
    lines += [f"{key} = {value if key == 'command' else _safe(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _command(argv: tuple[str, ...]) -> str:
    if not argv or not argv[0].startswith("/"):
        raise ValueError("A program's command starts with an absolute path.")
    return shlex.join(_safe(argument) for argument in argv)


def _safe(value: object) -> str:
    """The allow-list through which every rendered text goes."""
    text = str(value)
    if not is_plain(text):
        raise ValueError(f"{text!r} may not stand in supervisord's configuration.")
    return text


def _name(text: str) -> str:
    if not SAFE_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a name for a supervisord program.")
    return text


def _flag(value: bool) -> str:
    return "true" if value else "false"


@dataclass(frozen=True)
class ProcessInfo:
    """One process as supervisord knows it. `state` is its word (STOPPED, STARTING, RUNNING, BACKOFF,
    STOPPING, EXITED, FATAL); `started`, `stopped` and `now` are Unix seconds, 0 for never."""

    group: str
    name: str
    state: str
    pid: int
    started: int
    stopped: int
    now: int
    exit_status: int
    spawn_error: str
    log: str

    @property
    def full_name(self) -> str:
        """What the client's methods take."""
        return f"{self.group}:{self.name}"

    @property
    def alive(self) -> bool:
        """A process exists, or is just being made or ended."""
        return self.state in RUNNING_STATES


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except OSError:
            self.sock.close()
            raise


class _Transport(SupervisorTransport):  # type: ignore[misc]  # supervisor ships no types
    """supervisor's own transport, with the timeout it lacks."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__(USER, _password(path), serverurl=f"unix://{path}")
        self._get_connection = lambda: _Connection(path, timeout)


def _password(socket_path: str) -> str:
    """What the supervisord of this socket asks for; each start of it has another. Empty when there is none."""
    try:
        return Path(socket_path).with_name(PASSWORD_NAME).read_text()
    except OSError:
        return ""


class Supervisor:
    """A client of one supervisord. Every method is bounded by `timeout` seconds per call and raises
    DataPlaneUnreachable when supervisord does not answer. "Already so" is success throughout."""

    def __init__(self, socket_path: Path, timeout: float = 5.0) -> None:
        self._path = str(socket_path)
        self._timeout = timeout

    def patient_for(self, seconds: float) -> "Supervisor":
        """A client of the same supervisord with another timeout."""
        return Supervisor(Path(self._path), seconds)

    def processes(self) -> list[ProcessInfo]:
        """Every process of every group, running or not."""
        return [_process_info(raw) for raw in self._call("supervisor.getAllProcessInfo")]

    def reload_and_add(self, *groups: str) -> None:
        """Read the configuration files again and add `groups`; their autostart programs start side by side.

        A group that runs already keeps its old configuration until it is removed. Raises DataPlaneError when
        supervisord refuses the files.
        """
        self._call("supervisor.reloadConfig")
        for group in groups:
            self._call("supervisor.addProcessGroup", group, ignore=(Faults.ALREADY_ADDED,))

    def remove(self, group: str) -> bool:
        """Stop a group and take it out. True when it is gone, False while its processes still stop."""
        self._call("supervisor.stopProcessGroup", group, False, ignore=(Faults.BAD_NAME,))
        fault = self._call(
            "supervisor.removeProcessGroup", group, ignore=(Faults.BAD_NAME, Faults.STILL_RUNNING)
        )
        return bool(fault != Faults.STILL_RUNNING)

    def start(self, name: str, *, wait: bool = False) -> None:
        """Start "<group>:<program>". Running already is success; an unknown name is a DataPlaneError."""
        self._call("supervisor.startProcess", name, wait, ignore=(Faults.ALREADY_STARTED,))

    def stop(self, name: str, *, wait: bool = False) -> None:
        """Stop "<group>:<program>"; unknown or not running is success. With `wait`, until it ended."""
        self._call("supervisor.stopProcess", name, wait, ignore=(Faults.NOT_RUNNING, Faults.BAD_NAME))

    def signal(self, name: str, signal: str) -> None:
        """Send a signal ("TERM") to the main process of "<group>:<program>"; not running is success."""
        self._call("supervisor.signalProcess", name, signal, ignore=(Faults.NOT_RUNNING, Faults.BAD_NAME))

    def shutdown(self) -> None:
        """Ask supervisord to stop everything and end; returns at once."""
        self._call("supervisor.shutdown", ignore=(Faults.SHUTDOWN_STATE,))

    def _call(self, method: str, *args: object, ignore: tuple[int, ...] = ()) -> Any:
        """The answer, or the code of a fault in `ignore`. One connection per call, for one thread."""
        transport = _Transport(self._path, self._timeout)
        proxy = xmlrpc.client.ServerProxy(
            "http://localhost", transport=cast(xmlrpc.client.Transport, transport)
        )
        try:
            target: Any = proxy
            for part in method.split("."):
                target = getattr(target, part)
            return target(*args)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode in ignore:
                return fault.faultCode
            if fault.faultCode == Faults.SHUTDOWN_STATE:
                raise DataPlaneUnreachable("This machine's process supervisor is shutting down.") from None
            raise DataPlaneError(f"The process supervisor refused {method}: {fault.faultString}.") from None
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise DataPlaneUnreachable(
                "This machine's process supervisor does not answer. Is `make run` running?"
            ) from error
        finally:
            transport.close()


def _process_info(raw: Any) -> ProcessInfo:
    return ProcessInfo(
        group=str(raw["group"]),
        name=str(raw["name"]),
        state=str(raw["statename"]),
        pid=int(raw["pid"]),
        started=int(raw["start"]),
        stopped=int(raw["stop"]),
        now=int(raw["now"]),
        exit_status=int(raw["exitstatus"]),
        spawn_error=str(raw["spawnerr"]),
        log=str(raw["stdout_logfile"]),
    )
