"""`airdeck` as a process."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"


@dataclass
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """What it printed, for programs."""
        return json.loads(self.out)


class Airdeck:
    """`airdeck` on one machine: a home folder, and an environment."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SOURCE),
            "AIRDECK_HOME": str(home / "config"),
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "no_proxy": "*",
            **environment,
        }
        self._started: list[subprocess.Popen] = []

    def start(self, *arguments: str, **more) -> subprocess.Popen:
        """Begin, and wait for nothing. `close` ends it if the test does not."""
        environment = {**self.environment, **more.pop("environment", {})}
        with _ctrl_c_heard():
            process = subprocess.Popen(
                [sys.executable, "-m", "airdeck_cli", *arguments],
                env=environment,
                cwd=more.pop("cwd", self.home),
                stdin=more.pop("stdin", subprocess.DEVNULL),
                stdout=subprocess.PIPE,
                stderr=more.pop("stderr", subprocess.PIPE),
                text=True,
                **more,
            )
        self._started.append(process)
        return process

    def close(self) -> None:
        """End what a failed test left running, so that no later test of the same worker is blamed for it."""
        for process in self._started:
            _end(process)

    def __call__(self, *arguments: str, code: int = 0, text: str | None = None, **more) -> Done:
        """Run it to its end and check its exit code. `text` is its standard input, which is no terminal."""
        stdin = subprocess.DEVNULL if text is None else subprocess.PIPE
        process = self.start(*arguments, stdin=stdin, **more)
        try:
            out, err = process.communicate(text, timeout=60)
        finally:
            _end(process)
        done = Done(process.returncode, out, err)
        assert done.code == code, (arguments, done)
        assert "Traceback" not in err, err
        return done


def _end(process: subprocess.Popen) -> None:
    """It runs no more, and its pipes are closed."""
    if process.poll() is None:
        process.kill()
        process.wait(20)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


@contextmanager
def _ctrl_c_heard() -> Iterator[None]:
    """What is started in here obeys SIGINT. A shell without job control starts `make test &` with SIGINT ignored, every
    process below inherits that, and Python then leaves it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # exec makes the default of a handler
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Terminal:
    """`airdeck` at a terminal: what it asks and tells is read here, what a program reads is in `process.stdout`."""

    def __init__(self, at: Airdeck, *arguments: str, **more) -> None:
        self._ours, theirs = os.openpty()
        self.told = ""
        self.process = at.start(*arguments, stdin=theirs, stderr=theirs, start_new_session=True, **more)
        os.close(theirs)

    def read_until(self, wanted: str, seconds: float = 60) -> str:
        """Everything it told so far, once `wanted` (a regular expression) is in it. Fails when it never is."""
        deadline = time.monotonic() + seconds
        while not re.search(wanted, self.told):
            ready = select.select([self._ours], [], [], max(0, deadline - time.monotonic()))[0]
            try:
                more = os.read(self._ours, 4096) if ready else b""
            except OSError:  # Linux: the other end is closed
                more = b""
            assert more, (wanted, self.told)
            self.told += more.decode()
        return self.told

    def type(self, text: str) -> None:
        """What a person types."""
        os.write(self._ours, text.encode())

    def end(self, code: int) -> str:
        """Its standard output, once it ended with this code; what it told is read to its end."""
        try:
            out, _ = self.process.communicate(timeout=60)
            with suppress(OSError):
                while more := os.read(self._ours, 4096):
                    self.told += more.decode()
        finally:
            os.close(self._ours)
        assert self.process.returncode == code, (out, self.told)
        assert "Traceback" not in self.told
        return out
