"""Asking the child process, for as long as it may take and no longer."""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import IO, Any

from deployments.domain.code_archive import Unpacked
from deployments.domain.code_manifest import Manifest
from deployments.outgoing.git.wish import (
    REFS_SECONDS,
    TOTAL_SECONDS,
    Commit,
    GitRefused,
    GitWish,
    RefusalKind,
)

ROOT = Path(__file__).resolve().parents[3]
PASSED_ON = ("SSL_CERT_FILE", "SSL_CERT_DIR", "LANG", "LC_ALL")
ANSWER_BYTES = 64 * 1024 * 1024  # 20,000 files with the longest paths are less than half of it


@dataclass(frozen=True)
class GitAnswer:
    """Where the branch stands, and what was fetched of it: None when nothing was to be fetched."""

    head: str
    commit: Commit | None = None
    unpacked: Unpacked | None = None
    rewritten: bool = False  # it does not descend from the commit that was deployed before


class GitStopped(GitRefused):
    """Refused after the head was known."""

    def __init__(self, refused: GitRefused, head: str) -> None:
        super().__init__(str(refused), refused.kind, refused.host_key)
        self.head = head


def read(
    wish: GitWish, *, refs_seconds: float = REFS_SECONDS, total_seconds: float = TOTAL_SECONDS
) -> GitAnswer:
    """Read the repository in a child process, within `total_seconds`; contents are in the wish's scratch folder then.
    Raises GitRefused; GitStopped when the head of the branch was known by then."""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "deployments.outgoing.git.child"],
        cwd=wish.repository,
        env=_environment(wish),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as child:
        try:
            return _conversation(child, wish, refs_seconds, total_seconds)
        finally:
            child.kill()
            with contextlib.suppress(BrokenPipeError):
                _pipes(child)[0].close()


def _conversation(
    child: subprocess.Popen[bytes], wish: GitWish, refs_seconds: float, total_seconds: float
) -> GitAnswer:
    into, out = _pipes(child)
    with contextlib.suppress(BrokenPipeError):
        into.write(wish.line)
        into.flush()
    first = _line(child, out, refs_seconds)
    if first is None:
        raise GitRefused(
            f"The server did not say within {refs_seconds:.0f} s where the branch stands. It is tried again later."
        )
    if "done" in first:
        raise _refusal(first)
    head = str(first["head"])
    last = _line(child, out, total_seconds)
    if last is None:
        raise GitStopped(
            GitRefused(
                f"The newest commit could not be fetched within {total_seconds:.0f} s. If that comes again, keep data "
                "out of the repository, or give the DAGs one of their own."
            ),
            head,
        )
    if "refused" in last:
        raise GitStopped(_refusal(last), head)
    if "commit" not in last:
        return GitAnswer(head)
    unpacked = Unpacked(Manifest.read(last["manifest"]), int(last["left_out"]))
    return GitAnswer(head, Commit(*last["commit"]), unpacked, bool(last["rewritten"]))


def _line(child: subprocess.Popen[bytes], out: IO[bytes], seconds: float) -> dict[str, Any] | None:
    """The child's next line; None when it ended, or had to be ended."""
    watchdog = Timer(seconds, child.kill)
    watchdog.start()
    try:
        line = out.readline(ANSWER_BYTES)
    finally:
        watchdog.cancel()
    fields: dict[str, Any] | None = json.loads(line) if line.endswith(b"\n") else None
    return fields


def _refusal(fields: dict[str, Any]) -> GitRefused:
    return GitRefused(fields["refused"], RefusalKind(fields["kind"]), fields["host_key"])


def _environment(wish: GitWish) -> dict[str, str]:
    """No proxy, no home with a configuration, none of the console's secrets."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "HOME": wish.repository, "GIT_CONFIG_NOSYSTEM": "1"}


def _pipes(child: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if child.stdin is None or child.stdout is None:
        raise RuntimeError("The child was started without pipes.")
    return child.stdin, child.stdout
