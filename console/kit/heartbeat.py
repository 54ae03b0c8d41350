"""A sign of life for processes that answer no HTTP: worker, beat and observer touch the file that HEARTBEAT_FILE names.

`python -m console.kit.heartbeat` asks, for a probe: it imports no Django, and takes 40 ms of CPU.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

EVERY_SECONDS = 5.0
DEAD_AFTER_SECONDS = 60.0  # without a sign of life
_last = _alive_at = 0.0


def age() -> float | None:
    """Seconds since this process last gave a sign of life, with a file or without; None when it gives none, as web."""
    return time.monotonic() - _alive_at if _alive_at else None


def beat() -> None:
    """Touch the file, when one is named and it was not done just now. Never raises: a full disk is no reason to end,
    and a sign that stays away says enough."""
    global _last, _alive_at  # noqa: PLW0603 - one process, one sign
    path, now = os.environ.get("HEARTBEAT_FILE"), time.monotonic()
    _alive_at = now
    if not path or (_last and now - _last < EVERY_SECONDS):
        return
    _last = now
    with suppress(OSError):
        Path(path).touch()
        os.utime(path)


@contextmanager
def kept_up() -> Iterator[None]:
    """Beats from a thread as long as the block runs, which waits for another server: restarting us would not help."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            beat()
            over.wait(EVERY_SECONDS)

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(EVERY_SECONDS)


def complaint() -> str:
    """Why this container's process counts as dead, in a sentence; empty when it lives. Where there is no sign of life
    of the other processes it must be web, which is asked for its own."""
    path = os.environ.get("HEARTBEAT_FILE", "")
    try:
        age = time.time() - Path(path).stat().st_mtime if path else None
    except OSError:
        age = None
    if age is not None:
        return "" if age < DEAD_AFTER_SECONDS else f"The last sign of life is {age:.0f} s old."
    import urllib.request  # half of what a probe would cost, and of use here alone

    port = os.environ.get("PORT") or "8000"
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/live/", timeout=3):
            return ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        return f"There is no sign of life at {path or 'HEARTBEAT_FILE'}, and web does not answer ({reason})."


if __name__ == "__main__":
    problem = complaint()
    if problem:
        print(problem, file=sys.stderr)
    sys.exit(bool(problem))
