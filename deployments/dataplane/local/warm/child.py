"""The forked child, from the fork until it is the program: nothing of another Deployment, everything of its own."""

import gc
import json
import os
import runpy
import select
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from deployments.dataplane.local.fence.confine import CannotConfine, confine
from deployments.dataplane.local.warm import handover, names
from deployments.dataplane.local.warm.handover import Cold
from deployments.dataplane.local.warm.recording import Readings

SILENCE_SECONDS = 60.0  # a launcher that neither speaks nor ends
LONGEST_SPEC = 8 * 1024 * 1024


class Child:
    """The process that becomes a program. `streams` are its three standard streams, `channel` leads to its launcher."""

    def __init__(
        self, request: Mapping[str, Any], streams: list[int], channel: int, readings: Readings
    ) -> None:
        self._request, self._streams, self._readings = request, streams, readings
        self._channel = socket.socket(fileno=channel)

    def become(self, path: list[str]) -> Mapping[str, Any]:
        """Everything up to the launcher's "go"; returns the spec. `path` is the interpreter's own search path.

        Ends this process when it cannot start warm, or when the launcher is not there any more.
        """
        os.setpgid(0, 0)  # before its pid is known to anybody
        self._own_streams()
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            if signal.getsignal(number) not in (signal.SIG_DFL, signal.SIG_IGN, None):
                signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Before it holds any secret, and before anything that people wrote is read.
        try:
            confine(self._request["fence"])
        except CannotConfine as reason:
            self._say(str(reason))
            os._exit(0)
        self._say(str(os.getpid()))
        spec: Mapping[str, Any] = json.loads(self._receive())
        try:
            self._take(spec, path)
        except Cold as reason:
            self._say(str(reason))
            os._exit(0)
        except Exception as error:
            self._say(f"its settings could not be handed over ({type(error).__name__})")
            os._exit(1)
        self._say("ready")
        self._receive()
        self._channel.close()
        return spec

    def _take(self, spec: Mapping[str, Any], path: list[str]) -> None:
        """Be as a fresh interpreter with this spec would be."""
        argv, environment = spec["argv"], spec["env"]
        if os.path.realpath(os.path.dirname(argv[0])) != os.path.realpath(os.path.dirname(sys.executable)):
            raise Cold("the warm parent is of another runtime")
        _keep_memory_shared()
        os.umask(0o077)
        os.chdir(spec["cwd"])
        before, coerced = names.started_with(), dict(os.environ)
        handover.check_environment(self._readings, before, environment)
        sys.path[:] = handover.search_path(argv, spec["cwd"], environment, path)
        sys.executable = argv[0]
        sys.orig_argv[:] = argv
        os.environ.clear()
        for name, value in environment.items():
            os.environb[name.encode()] = value.encode(errors="surrogateescape")
        # The interpreter sets LC_CTYPE where there is none.
        for name in set(coerced) - set(before) - set(environment):
            os.environ[name] = coerced[name]
        handover.move_folders(self._readings)
        names.become(argv, {name: environment[name] for name in names.TAGS if name in environment})
        _new_randomness()
        handover.check_settings(self._readings)

    def _own_streams(self) -> None:
        """Only the launcher's streams and the channel stay open; everything else belongs to the parent."""
        for number, descriptor in enumerate(self._streams):
            os.dup2(descriptor, number)
        keep = self._channel.fileno()
        os.closerange(3, keep)
        os.closerange(keep + 1, os.sysconf("SC_OPEN_MAX"))
        os.set_inheritable(keep, False)

    def _say(self, line: str) -> None:
        try:
            self._channel.sendall(line.replace("\n", " ").encode() + b"\n")
        except OSError:
            os._exit(0)

    def _receive(self) -> bytes:
        """The launcher's next message. Without one, this process is not needed any more."""
        (length,) = struct.unpack("!I", self._exactly(4))
        return self._exactly(min(length, LONGEST_SPEC))

    def _exactly(self, count: int) -> bytes:
        received = b""
        while len(received) < count:
            if not select.select([self._channel], [], [], SILENCE_SECONDS)[0]:
                os._exit(0)
            try:
                part = self._channel.recv(count - len(received))
            except OSError:
                part = b""
            if not part:
                os._exit(0)
            received += part
        return received


def _new_randomness() -> None:
    """What was drawn in the parent must not be the same in every child. Python's own generator is seeded again by the
    fork."""
    for name in ("multiprocessing.process", "billiard.process"):
        if name in sys.modules:
            sys.modules[name].current_process().authkey = os.urandom(32)


def run(spec: Mapping[str, Any]) -> NoReturn:
    """Run the program as `python -m …` or `python script …` does."""
    argv = spec["argv"]
    handover.begin()
    if argv[1] == "-m":
        sys.argv[:] = argv[2:]
        runpy.run_module(argv[2], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = argv[1:]
        runpy.run_path(argv[1], run_name="__main__")
    sys.exit(0)


def _keep_memory_shared() -> None:
    """Airflow's executors freeze all objects before they fork and unfreeze all of them afterwards, the parent's too.
    The collector's next round would then write to each of those, and the kernel would copy their pages for this
    process alone. So what is frozen stays frozen."""
    setattr(gc, "unfreeze", lambda: None)  # noqa: B010 - a function of a module is not assigned to by name
