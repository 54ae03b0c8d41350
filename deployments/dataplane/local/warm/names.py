"""What `ps` and `/proc` say of a forked process: its own command and its own tags, not the parent's.

The kernel shows the memory in which it put arguments and environment when the program was started. A fork keeps both,
so they are written over in place. Linux only, as warm starts are.
"""

import ctypes
import os
import sys
from collections.abc import Mapping, Sequence

PR_SET_NAME = 15
TAGS = (
    "AIRDECK_STATE",
    "AIRDECK_DEPLOYMENT",
)  # by which what a killed program left is found; nothing else is shown
ROOM = 2048  # bytes that the parent's arguments and environment must each have


def started_with() -> dict[str, str]:
    """The variables with which this process's program was started."""
    with open("/proc/self/environ", "rb") as file:
        pairs = [os.fsdecode(pair).partition("=") for pair in file.read().split(b"\0") if b"=" in pair]
    return {name: value for name, _, value in pairs}


def become(argv: Sequence[str], tags: Mapping[str, str]) -> None:
    """Show these arguments and variables. Raises ValueError when they do not fit into the room that there is."""
    if "setproctitle" in sys.modules:
        # It clears as much as its last title was long when Airflow sets one.
        sys.modules["setproctitle"].setproctitle(" ".join(argv))
    arguments = b"".join(word.encode(errors="surrogateescape") + b"\0" for word in argv)
    variables = b"".join(f"{name}={value}\0".encode() for name, value in tags.items())
    with open("/proc/self/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    # proc(5): fields 48 to 51, counted from 1 with the pid; the first of ours is number 3.
    start_argv, end_argv, start_env, end_env = (int(field) for field in fields[45:49])
    for what, start, end in ((arguments, start_argv, end_argv), (variables, start_env, end_env)):
        if len(what) > end - start:
            raise ValueError("its arguments are too long")
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, what, len(what))
    ctypes.CDLL(None).prctl(PR_SET_NAME, os.path.basename(argv[0]).encode()[:15], 0, 0, 0)
