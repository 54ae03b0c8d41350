"""Whether Python files compile, asked of a child process: nothing of the code is imported, and what brings the
compiler down brings down the child."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import IO

from deployments.domain.code_manifest import CodeFile

CHILD = Path(__file__).with_name("syntax_child.py")
FILE_SECONDS = 10.0  # for one file; the compiler takes about a second for 10 MiB of ordinary source
# A larger one is not checked: it is data rather than code, and would be held in memory whole.
CHECKED_BYTES = 5 * 1024 * 1024
ERROR_LENGTH = 300
COULD_NOT = "could not be checked: it brings the compiler down or takes it longer than 10 s"


@dataclass(frozen=True)
class SyntaxProblem:
    """A file that does not compile: where and why, in the compiler's words."""

    path: str
    line: int
    error: str


def check(
    files: Sequence[CodeFile], read: Callable[[CodeFile], bytes], *, seconds: float
) -> tuple[int, tuple[SyntaxProblem, ...]]:
    """Compile files in order for at most `seconds` (one file more may take FILE_SECONDS): how many were looked at, and
    the problems among them. `read` gives a file's content. At least one file is looked at."""
    deadline = time.monotonic() + seconds
    problems: list[SyntaxProblem] = []
    done = 0
    while done < len(files) and (not done or time.monotonic() < deadline):
        looked, found = _one_child(files[done:], read, deadline)
        done += looked
        problems += found
    return done, tuple(problems)


def _one_child(
    files: Sequence[CodeFile], read: Callable[[CodeFile], bytes], deadline: float
) -> tuple[int, list[SyntaxProblem]]:
    """As many files as one child lives for."""
    argv = [sys.executable, "-I", "-S", str(CHILD)]
    problems: list[SyntaxProblem] = []
    done = 0
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}
    ) as child:
        try:
            for file in files:
                if done and time.monotonic() > deadline:
                    break
                done += 1
                if file.size > CHECKED_BYTES:
                    continue
                answer = _ask(child, file, read(file))
                if answer is None:
                    problems.append(SyntaxProblem(file.path, 0, COULD_NOT))
                    break
                if answer["error"]:
                    error = str(answer["error"])[:ERROR_LENGTH]
                    problems.append(SyntaxProblem(file.path, int(str(answer["line"])), error))
        finally:
            child.kill()
            with contextlib.suppress(BrokenPipeError):  # what it did not take any more
                _pipes(child)[0].close()
    return done, problems


def _ask(child: subprocess.Popen[bytes], file: CodeFile, source: bytes) -> dict[str, object] | None:
    """The child's answer about one file; None when it gave none."""
    into, out = _pipes(child)
    watchdog = Timer(FILE_SECONDS, child.kill)
    watchdog.start()
    try:
        into.write(json.dumps({"path": file.path, "size": len(source)}).encode() + b"\n")
        into.write(source)
        into.flush()
        line = out.readline()
    except BrokenPipeError:
        return None
    finally:
        watchdog.cancel()
    answer: dict[str, object] | None = json.loads(line) if line else None
    return answer


def _pipes(child: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if child.stdin is None or child.stdout is None:
        raise RuntimeError("The child was started without pipes.")
    return child.stdin, child.stdout
