"""Landlock by system calls: a process gives up, for itself and all that it starts, whatever it has not named.

Linux 5.13 or newer; each version (ABI) of it can refuse more. Standard library only: it runs before a program is there.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress

# The same numbers on every architecture.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
ASK_VERSION = 1
RULE_PATH, RULE_PORT = 1, 2
PR_SET_NO_NEW_PRIVS = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REFER, TRUNCATE, IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
MAKE_AND_REMOVE = ((1 << 13) - 1) & ~(EXECUTE | WRITE_FILE | READ_FILE | READ_DIR)
DEVICES = (1 << 6) | (1 << 11)  # no program may make device files
BIND_TCP = 1
SCOPE_ABSTRACT_SOCKETS, SCOPE_SIGNALS = 1, 2

READ = EXECUTE | READ_FILE | READ_DIR
CHANGE = WRITE_FILE | TRUNCATE
WRITE = READ | CHANGE | (MAKE_AND_REMOVE & ~DEVICES) | REFER
ON_A_FILE = EXECUTE | READ_FILE | CHANGE | IOCTL_DEVICE  # the rights that a rule for a single file may name

# From which version on Landlock knows a thing.
KNOWS_REFER, KNOWS_TRUNCATE, KNOWS_PORTS, KNOWS_IOCTL, KNOWS_SCOPES = 2, 3, 4, 5, 6


_syscall = ctypes.CDLL(None, use_errno=True).syscall


def version() -> int:
    """The version of Landlock that this kernel has; 0 for none."""
    if sys.platform != "linux":
        return 0
    try:
        return _call(CREATE_RULESET, None, 0, ASK_VERSION)
    except OSError:
        return 0


def restrict(paths: Iterable[tuple[str, int]], ports: Iterable[int]) -> None:
    """Restrict this thread, which must be the process's only one, for ever: to these paths with these rights, to
    listening on these TCP ports (0 is any free one), to signals and abstract sockets within itself and its children.

    A path that is not there is left out. Raises OSError when the kernel refuses.
    """
    known = version()
    handled = _rights(known)
    attributes = struct.pack("=Q", handled)
    if known >= KNOWS_PORTS:
        attributes += struct.pack("=Q", BIND_TCP)
    if known >= KNOWS_SCOPES:
        attributes += struct.pack("=Q", SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS)
    ruleset = _call(CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for path, rights in paths:
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                _allow_path(ruleset, path, rights & handled)
        if known >= KNOWS_PORTS:
            for port in ports:
                _call(ADD_RULE, ruleset, RULE_PORT, struct.pack("=QQ", BIND_TCP, port), 0)
        forgo_new_privileges()
        _call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def forgo_new_privileges() -> None:
    """No program that this process starts gains rights by its set-user-id bit or capabilities. Raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _rights(known: int) -> int:
    """What this version can refuse."""
    found = (1 << 13) - 1
    found |= REFER if known >= KNOWS_REFER else 0
    found |= TRUNCATE if known >= KNOWS_TRUNCATE else 0
    return found | (IOCTL_DEVICE if known >= KNOWS_IOCTL else 0)


def _allow_path(ruleset: int, path: str, rights: int) -> None:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(path):
            rights &= ON_A_FILE
        _call(ADD_RULE, ruleset, RULE_PATH, struct.pack("=Qi", rights, handle), 0)
    finally:
        os.close(handle)


def _call(number: int, *arguments: "int | bytes | None") -> int:
    found: int = _syscall(number, *arguments)
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found
